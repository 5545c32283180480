// Questions to the explorer, and what is said when one fails.

const trouble = document.getElementById("trouble");

export async function ask(path, body) {
  const sent = body === undefined ? {} : {
    method: "POST",
    body: body instanceof Blob ? body : JSON.stringify(body),
    headers: { "content-type": body instanceof Blob ? body.type || "application/octet-stream" : "application/json" },
  };
  const answer = await fetch(path, sent).catch(() => { throw new Error("the explorer does not answer: is it still running?"); });
  const found = await answer.json().catch(() => ({ error: `the explorer answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// A function that does `work` at once, or, where it is still at it, once more when done: the newest wish is
// always met, and no queue builds up behind a slider.
export function newest(work) {
  let busy = false, again = false;
  return async function wish() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do { again = false; await work(); } while (again);
      trouble.hidden = true;
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    } finally {
      busy = false;
    }
  };
}

export function later(milliseconds, work) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(work, milliseconds); };
}

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const number = (value, digits = 2) => {
  const text = (+value).toFixed(digits);
  return (+text === 0 ? (0).toFixed(digits) : text).replace("-", "−");
};
export const short = (value) => String(+(+value).toFixed(3)).replace("-", "−");
export const percent = (share) => {
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 1) return "< 1 %";
  if (hundred < 100 && hundred > 99) return "> 99 %";
  return `${Math.round(hundred)} %`;
};
