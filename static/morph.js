// Brings what is on the page up to date in place, so that selection, focus and scroll stay, and no animation begins anew.

import { Idiomorph } from "./idiomorph/idiomorph.esm.js";

const callbacks = {
  beforeNodeMorphed: (old, fresh) => !old.isEqualNode(fresh),
  beforeAttributeUpdated: (name, element) => !(name === "open" && element.localName === "details"), // people open these
};

// The element as it is on the page then: `old` itself, now like `fresh`.
export function morph(old, fresh) {
  return Idiomorph.morph(old, fresh, { callbacks })[0];
}
