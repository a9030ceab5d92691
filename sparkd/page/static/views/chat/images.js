/** Images for a message: read from files, made smaller if they are large, kept as data URLs. */

const LONGEST_SIDE = 2048;
const LARGEST = 3 * 2 ** 20;
const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** The images among files, as {name, url}. Throws an Error with a sentence for a file that cannot be read. */
export async function readImages(files) {
  return Promise.all([...files].filter(({ type }) => type.startsWith("image/")).map(readImage));
}

async function readImage(file) {
  if (TYPES.includes(file.type) && file.size <= LARGEST) return { name: file.name, url: await readUrl(file) };
  return { name: file.name, url: await shrink(file) };
}

function readUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The image cannot be read."));
    reader.readAsDataURL(blob);
  });
}

async function shrink(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`The browser cannot read the image "${file.name}". Use PNG, JPEG, WebP or GIF.`);
  });
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.9);
}
