// One live chart. Colours come from the page's own, so that it is right in light and in dark.

import { html, useEffect, useLayoutEffect, useRef } from './html.js';
import { clock } from './format.js';
import { theme } from './theme.js';
import { useStore } from './store.js';

const uPlot = globalThis.uPlot;
const HEIGHT = 170;
/** Seconds in sight: at least and at most. */
const WINDOW_MIN_S = 60;
const WINDOW_MAX_S = 600;

/** A colour of the page as a canvas takes it: three numbers, whatever the style sheet says. */
function colour(name, alpha = 1) {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/** `lines`: `{name, title, colour}`; `history` has a series by each name, and `at`. */
export function Chart({ title, lines, history, version, format }) {
  const ref = useRef();
  const plot = useRef(null);
  useStore(theme);
  const { isDark } = theme;

  useLayoutEffect(() => {
    const holder = ref.current;
    plot.current = new uPlot(options(lines, format, holder.clientWidth), data(history, lines), holder);
    const resized = new ResizeObserver(() => plot.current.setSize({ width: holder.clientWidth, height: HEIGHT }));
    resized.observe(holder);
    return () => {
      resized.disconnect();
      plot.current.destroy();
    };
  }, [isDark]);
  useEffect(() => { plot.current.setData(data(history, lines)); }, [version]);

  return html`
    <figure class="chart" role="img"
      aria-label=${`${title}: ${lines.map(line => `${line.title} ${format(last(history[line.name]))}`).join(', ')}`}>
      <figcaption><b>${title}</b><span class="legend">${lines.map(line => html`
        <span key=${line.name}><i
          class=${`swatch ${line.colour}`}></i>${line.title} <b>${format(last(history[line.name]))}</b></span>`)}</span></figcaption>
      <div ref=${ref} class="plot" aria-hidden="true"></div>
    </figure>`;
}

const last = series => series.at(-1);

const data = (history, lines) => [history.at, ...lines.map(({ name }) => history[name])].map(series => series.slice());

function options(lines, format, width) {
  const [ink, edge] = [colour('muted'), colour('edge')];
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: edge, width: 1 } };
  return {
    width,
    height: HEIGHT,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: (_plot, min, max) => inSight(min, max) },
      y: { range: (_plot, _min, max) => [0, niceMax(max)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 80, values: times },
      { ...axis, size: 58, space: 38, values: (_plot, ticks) => ticks.map(tick => format(tick)) },
    ],
    series: [{}, ...lines.map(line => ({
      stroke: colour(line.colour), width: 1.75, points: { show: false }, spanGaps: false,
      fill: lines.length === 1 ? colour(line.colour, 0.12) : undefined,
    }))],
  };
}

function inSight(first, last) {
  const end = last ?? Date.now() / 1000;
  const begin = Math.min(first ?? end, end - WINDOW_MIN_S);
  return [Math.max(begin, end - WINDOW_MAX_S), end];
}

const niceMax = max => (max > 0 ? max * 1.15 : 1);

/** To the second only where ticks are closer than a minute. */
const times = (_plot, ticks, _axis, _space, stepS) =>
  ticks.map(tick => clock(1000 * tick).slice(0, stepS < 60 ? 8 : 5));
