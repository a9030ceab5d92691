/** What components are written with: preact, its hooks and signals, and htm's templates. */

import { signal, computed, effect, batch, useSignal, useComputed, useSignalEffect } from "@preact/signals";
import htm from "htm";
import { Fragment, h, render } from "preact";
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export const html = htm.bind(h);

export { Fragment, h, render };
export { signal, computed, effect, batch, useSignal, useComputed, useSignalEffect };
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState };
