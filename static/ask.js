// Questions to the server, and what its answers mean in words.

const PATIENCE = 10_000; // milliseconds

const MEANINGS = {
  403: "You may not see this any more.",
  404: "This is not there any more.",
  503: "The server cannot reach its database.",
};
export const NO_ANSWER = "The server does not answer.";

export const meaning = (status) => MEANINGS[status] || `The server has failed (${status}).`;

// The page is loaded anew, so there will be no answer.
function loginAgain() {
  location.reload();
  return new Promise(() => {});
}

// A part of a page, as text; null if what it is about does not exist. An Error's message says what happened.
export async function ask(address, headers = {}) {
  const options = { headers: { "HX-Request": "true", ...headers }, redirect: "manual", signal: AbortSignal.timeout(PATIENCE) };
  const answer = await fetch(address, options).catch(() => { throw new Error(NO_ANSWER); });
  if (answer.status === 401 || answer.type === "opaqueredirect") return loginAgain();
  if (answer.status === 404) return null;
  if (!answer.ok) throw Object.assign(new Error(meaning(answer.status)), { status: answer.status });
  return answer.text();
}
