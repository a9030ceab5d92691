/** Tables that are looked up by text of others, such as a part of the address. */

/**
 * The table without what every object inherits: `constructor` is not a key of it.
 * @template T
 * @param {T} entries
 * @returns {T}
 */
export const table = (entries) => Object.assign(Object.create(null), entries);
