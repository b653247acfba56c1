// Small pictures, each a path of 24 by 24 that is drawn with the colour of its text.

import { html } from './html.js';

const box = (left, top, width, height) => `M${left} ${top}h${width}v${height}h${-width}z`;

const PATHS = {
  phone: `${box(7, 3, 10, 18)}M11 18h2`,
  tablet: `${box(5, 3, 14, 18)}M11 18h2`,
  desktop: `${box(3, 5, 18, 11)}M9 20h6M12 16v4`,
  program: `${box(3, 5, 18, 14)}M7 9l3 3-3 3M12 15h5`,
  close: 'M6 6l12 12M18 6L6 18',
  copy: `${box(8, 8, 12, 13)}M16 8V3H4v13h4`,
  check: 'M5 12.5l4.5 4.5L19 7.5',
  moon: 'M20 14.5A8.5 8.5 0 1 1 9.5 4 7 7 0 0 0 20 14.5Z',
  sun: 'M12 7.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM12 2v2M12 20v2M2 12h2M20 12h2'
    + 'M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19',
  leave: 'M14 4.5H5v15h9M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5',
  find: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13ZM15.5 15.5L21 21',
  more: 'M5 9l7 7 7-7',
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
