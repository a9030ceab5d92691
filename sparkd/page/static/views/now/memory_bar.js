/** One bar for all of the memory: outlines are reserved, fills are measured. */

import { bytes, percent } from "../../lib/format.js";
import { html } from "../../lib/html.js";
import { extent } from "./shares.js";

export function MemoryBar({ shares, total, free, floor }) {
  const scale = Math.max(total, shares.reduce((sum, share) => sum + extent(share), 0));
  const text = describe(shares, total, free);
  return html`<div class="memory-bar-frame">
    <div class="memory-bar" role="img" aria-label=${text}>
      ${shares.map((share) => html`<${Share} key=${share.id} share=${share} scale=${scale} />`)}
      <span class="memory-free" style=${{ flexGrow: free / scale }}><span class="memory-name">free</span></span>
      <span class="memory-floor" style=${{ insetInlineStart: `${(1 - floor / total) * 100}%` }} />
    </div>
    <div class="memory-scale note" aria-hidden="true"><span>0</span><span>${bytes(total / 2)}</span><span>${bytes(total)}</span></div>
  </div>`;
}

function Share({ share, scale }) {
  const size = extent(share);
  const filled = size ? Math.min(1, (share.used ?? 0) / size) : 0;
  const isBusy = share.row && share.row.state !== "ready";
  return html`<span class="memory-share ${share.kind} ${isBusy ? "busy" : ""}" title=${shareText(share)}
    style=${{ flexGrow: size / scale, "--share": `var(--series-${share.series})` }}>
    <span class="memory-fill" style=${{ inlineSize: `${filled * 100}%` }} />
    <span class="memory-name">${share.name}</span>
  </span>`;
}

/** What a share is, as text. */
export function shareText(share) {
  const used = share.used === null || share.used === undefined ? "use unknown" : `${bytes(share.used)} in use`;
  const kept = share.kind === "system" ? `${bytes(share.reserved)} kept free for it` : `${bytes(share.reserved)} reserved`;
  return `${share.name}: ${used}, ${kept}`;
}

function describe(shares, total, free) {
  return `Memory of ${bytes(total)}. ${shares.map(shareText).join("; ")}; free: ${bytes(free)}, ${percent(free / total)}.`;
}
