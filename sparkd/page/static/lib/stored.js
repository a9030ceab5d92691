/** Choices that this browser remembers. Without storage they last until the page is closed. */

/** The remembered value, otherwise `initial`. */
export function read(name, initial) {
  try {
    const text = localStorage.getItem(name);
    return text === null ? initial : JSON.parse(text);
  } catch {
    return initial;
  }
}

/** Remember a value. */
export function store(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Storage is off or full in this browser.
  }
}
