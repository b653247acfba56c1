// The sign of the page.

import { html } from './html.js';

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M8 11.5l2 2 3.5-4M8 20.5l2 2 3.5-4M17.5 11.5H25M17.5 20.5H25" />
  </svg>`;
