// What the page is drawn with: Preact, its hooks, and htm instead of a build step.

const { preact, preactHooks, htm } = globalThis;

export const { Component, render } = preact;
export const { useEffect, useLayoutEffect, useMemo, useRef, useState } = preactHooks;
export const html = htm.bind(preact.h);
