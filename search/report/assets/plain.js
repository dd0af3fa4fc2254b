// A page without trials of its own: nothing is picked, and there are no table and no card.
"use strict";

(() => {
  const nothing = () => {};
  Object.assign(sweepPage, {
    picks: () => false,
    marked: (figure) => figure.spec.data,
    picked: nothing,
    select: nothing,
    forget: nothing,
    restore: nothing,
    table: { begin: nothing, update: nothing },
    card: { update: nothing },
  });
  sweepPage.begin();
})();
