/** Text of a model as HTML: Markdown by marked, cleaned by DOMPurify, with nothing in it that loads or runs. */

import DOMPurify from "dompurify";
import { marked } from "marked";
import { html, render, useLayoutEffect, useRef } from "../../lib/html.js";
import { Copy } from "../../lib/ui.js";

/** Characters beyond which text is shown as it is: Markdown of that length takes too long for every few tokens. */
const LONGEST = 200_000;

/** @type {import("dompurify").Config & {RETURN_DOM_FRAGMENT: true}} */
const CLEAN = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del details em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s strong sub summary sup".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["href", "class", "align", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};

/**
 * An image would be loaded from another server, which then knows that it was shown: its address is a link instead. HTML
 * is shown as text.
 */
const renderer = {
  image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
  html: ({ text }) => escape(text),
};

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}

marked.use({ gfm: true, breaks: true, renderer });

/** The text as a fragment of the document. */
export function renderMarkdown(text) {
  const fragment = DOMPurify.sanitize(marked.parse(text, { async: false }), CLEAN);
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.getAttribute("href")) link.replaceWith(...link.childNodes);
    else Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  }
  for (const code of fragment.querySelectorAll("pre > code")) frameCode(code);
  for (const table of fragment.querySelectorAll("table")) frameTable(table);
  for (const element of fragment.querySelectorAll("[class]")) {
    if (!element.closest(".code-frame") && !element.matches(".table-wrap")) element.removeAttribute("class");
  }
  fitHeadings(fragment.querySelectorAll("h1, h2, h3, h4, h5, h6"));
  return fragment;
}

/** The page has an h1: the headings of an answer come below it, and none is more than one level below the one before. */
function fitHeadings(headings) {
  const levelOf = (heading) => Number(heading.tagName[1]);
  const highest = Math.min(...[...headings].map(levelOf));
  let before = 1;
  for (const heading of headings) {
    before = Math.min(levelOf(heading) - highest + 2, before + 1, 6);
    const fitted = document.createElement(`h${before}`);
    fitted.append(...heading.childNodes);
    heading.replaceWith(fitted);
  }
}

/** A block of code with its language and a button. */
function frameCode(code) {
  const language = /language-([\w+#.-]{1,30})/.exec(code.className)?.[1] ?? "";
  code.removeAttribute("class");
  const pre = code.parentElement;
  const frame = document.createElement("div");
  frame.className = "code-frame";
  const head = document.createElement("div");
  head.className = "code-head";
  const text = code.textContent.replace(/\n$/, "");
  render(html`<span>${language || "text"}</span><${Copy} text=${text} />`, head);
  pre.tabIndex = 0;
  pre.replaceWith(frame);
  frame.append(head, pre);
}

/** A wide table scrolls by itself, with the keyboard too. */
function frameTable(table) {
  const frame = document.createElement("div");
  Object.assign(frame, { className: "table-wrap", tabIndex: 0 });
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Table");
  table.replaceWith(frame);
  frame.append(table);
}

/** Markdown of a model. */
export function Markdown({ text }) {
  const place = useRef(null);
  const isLong = text.length > LONGEST;
  useLayoutEffect(() => {
    if (!isLong) place.current.replaceChildren(renderMarkdown(text));
  }, [text, isLong]);
  return isLong ? html`<pre class="prose-plain" tabindex="0">${text}</pre>` : html`<div class="prose" ref=${place} />`;
}
