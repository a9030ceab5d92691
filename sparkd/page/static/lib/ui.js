/** Everything that views are built from. */

export { Button, Copy, IconButton, LinkButton, Segments } from "./ui/buttons.js";
export { Dialog, Drawer, Questions, confirm } from "./ui/dialogs.js";
export { Check, Field, SearchField, Select, TextArea, TextField } from "./ui/fields.js";
export { Card, Facts, Figure, Figures, Tabs, Tags, ViewHead } from "./ui/layout.js";
export { Empty, ErrorBox, Loading, Toasts, toast, toastError } from "./ui/messages.js";
export { Meter, Progress, State, Swatch, Value } from "./ui/states.js";
export { Table } from "./ui/table.js";
export { Time, Elapsed } from "./ui/times.js";
export { useLoad, usePoll } from "./ui/loading.js";
export { Prose } from "./ui/prose.js";
