// What a screen reader is told, in the live region of the page; much at once is told together, the last of it only.

const LATEST = 5;
const news = [];

export function say(sentence) {
  news.push(sentence);
  if (news.length > 1) return;
  setTimeout(() => { document.getElementById("announcer").textContent = news.splice(0).slice(-LATEST).join(" "); }, 500);
}
