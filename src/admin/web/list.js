// A table of any number of sessions of which only the rows in sight exist.

import { Component, html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { serverNow } from './api.js';
import { appOf, deviceOf } from './device.js';
import { ago, date, span, userName } from './format.js';
import { Icon } from './icons.js';
import { userLink } from './route.js';
import { Chips, IconButton, useNow } from './ui.js';

const narrow = matchMedia('(max-width: 760px)');
const HEIGHT = { wide: 44, narrow: 68 };
/** Rows above and below those in sight, so that a quick hand sees no gap. */
const MARGIN = 12;

/** `picked`: a set of client ids; `onPick(clients, isPicked)`. `list` is a SessionList. */
export function Rows({ list, version, sort, onSort, picked, onPick, onOpen, onClose }) {
  const ref = useRef();
  const [view, setView] = useState({ top: 0, height: 600 });
  const [isNarrow, setNarrow] = useState(narrow.matches);
  const [focused, setFocused] = useState(null);
  const anchor = useRef(null);
  const holdsFocus = useRef(false);
  const toFocus = useRef(null);
  const now = useNow(serverNow);
  const rowHeight = isNarrow ? HEIGHT.narrow : HEIGHT.wide;
  const { rows } = list;

  useLayoutEffect(() => {
    const scroller = ref.current;
    // The head lies over the top of the rows.
    const measure = () => setView({
      top: scroller.scrollTop, height: scroller.clientHeight - scroller.firstElementChild.offsetHeight,
    });
    const resized = new ResizeObserver(measure);
    const turned = () => setNarrow(narrow.matches);
    resized.observe(scroller);
    narrow.addEventListener('change', turned);
    scroller.addEventListener('scroll', measure, { passive: true });
    measure();
    return () => {
      resized.disconnect();
      narrow.removeEventListener('change', turned);
      scroller.removeEventListener('scroll', measure);
    };
  }, []);

  const first = Math.max(0, Math.floor(view.top / rowHeight) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + MARGIN);
  const isEndInSight = last >= rows.length;
  useEffect(() => {
    if (isEndInSight && list.isMore && !list.moreError) list.more();
  }, [isEndInSight, list.isMore, list.rows.length]);

  const goTo = at => {
    const index = Math.min(Math.max(at, 0), rows.length - 1);
    const scroller = ref.current;
    const top = index * rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    if (top + rowHeight > scroller.scrollTop + view.height) scroller.scrollTop = top + rowHeight - view.height;
    toFocus.current = rows[index];
    setFocused(rows[index]);
  };
  // A row that is moved within the document loses the focus, and the keyboard with it.
  useLayoutEffect(() => {
    const isLost = holdsFocus.current && document.activeElement === document.body;
    if (!isLost && toFocus.current !== focused) return;
    toFocus.current = null;
    ref.current.querySelector(`[data-client="${focused}"]`)?.focus({ preventScroll: true });
  });
  const onFocus = client => {
    holdsFocus.current = true;
    setFocused(client);
  };
  const onFocusOut = ({ relatedTarget }) => {
    if (relatedTarget && !ref.current.contains(relatedTarget)) holdsFocus.current = false;
  };
  useEffect(() => {
    const onPress = ({ target }) => { holdsFocus.current = ref.current.contains(target); };
    document.addEventListener('pointerdown', onPress);
    return () => document.removeEventListener('pointerdown', onPress);
  }, []);

  const pick = (client, isPicked, isRange) => {
    const at = rows.indexOf(client);
    const from = isRange && anchor.current !== null ? rows.indexOf(anchor.current) : at;
    const range = rows.slice(Math.min(from, at), Math.max(from, at) + 1);
    anchor.current = client;
    onPick(range.filter(one => isOpen(list, one)), isPicked);
  };
  const onKey = event => {
    const client = event.target.dataset?.client;
    if (!client) return;
    const at = rows.indexOf(client);
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -at, End: rows.length }[event.key];
    if (step !== undefined) goTo(at + step);
    else if (event.key === 'Enter') onOpen(client);
    else if (event.key === ' ') pick(client, !picked.has(client), event.shiftKey);
    else if (event.key === 'Delete' && isOpen(list, client)) onClose(client);
    else return;
    event.preventDefault();
  };

  const focusedAt = focused ? rows.indexOf(focused) : -1;
  const tabStop = rows[Math.max(0, focusedAt)];
  const inSight = rows.slice(first, last).map((_client, at) => first + at);
  // The row with the focus stays: without it a key would find nobody.
  if (focusedAt >= 0 && !(focusedAt >= first && focusedAt < last)) inSight.push(focusedAt);
  const shown = inSight.map(index => [index, rows[index]]).map(([index, client]) => html`
    <${Row} key=${client} client=${client} session=${list.sessions.get(client)} gone=${list.gone.get(client)}
      index=${index} top=${index * rowHeight} isPicked=${picked.has(client)} isNarrow=${isNarrow}
      isTabStop=${client === tabStop} minute=${Math.floor(now / 10_000)} now=${now}
      onPick=${pick} onOpen=${onOpen} onClose=${onClose} onFocus=${onFocus} />`);
  const header = { sort, onSort };
  return html`
    <div class="table" role="grid" aria-label="Sessions" aria-rowcount=${rows.length + 1}
      aria-multiselectable="true" data-version=${version}>
      <div class="scroller" ref=${ref} onKeyDown=${onKey} onfocusout=${onFocusOut} role="rowgroup">
        <div class="row head" role="row" aria-rowindex="1">
          <span role="columnheader" class="cell pick"><${PickAll} list=${list} picked=${picked}
            onPick=${onPick} /></span>
          <${Header} name="user" title="User" ...${header} />
          <span role="columnheader" class="cell device">Device and app</span>
          <span role="columnheader" class="cell transport">Transport</span>
          <span role="columnheader" class="cell address">Address</span>
          <span role="columnheader" class="cell labels">Labels</span>
          <${Header} name="connected_at" title="Since" ...${header} />
          <span role="columnheader" class="cell act"><span class="hidden">Close</span></span>
        </div>
        <div class="canvas" role="presentation"
          style=${{ height: `${rows.length * rowHeight}px` }}>${shown}</div>
        ${list.isLoadingMore && html`<p class="loading">Loading more …</p>`}
        ${list.moreError && html`<p class="more-error" role="alert">${list.moreError}
          <button type="button" onClick=${() => list.more()}>Try again</button></p>`}
      </div>
    </div>`;
}

/** Whether there is something left to close. */
const isOpen = (list, client) => !list.gone.has(client) && !list.sessions.get(client).closed;

function Header({ name, title, sort, onSort }) {
  const isThis = sort.replace('-', '') === name;
  const direction = !isThis ? 'none' : sort.startsWith('-') ? 'descending' : 'ascending';
  // The newest are what one looks for first, and users from a to z.
  const next = sort === name || (direction === 'none' && name !== 'user') ? `-${name}` : name;
  return html`
    <span role="columnheader" aria-sort=${direction} class=${`cell ${name === 'user' ? 'user' : 'since'}`}>
      <button type="button" class="sort" onClick=${() => onSort(next)}>${title}<span aria-hidden="true">${
        { none: '', ascending: ' ↑', descending: ' ↓' }[direction]}</span></button>
    </span>`;
}

function PickAll({ list, picked, onPick }) {
  const ref = useRef();
  const choices = list.rows.filter(client => isOpen(list, client)).length;
  const isAll = choices > 0 && picked.size >= choices;
  useLayoutEffect(() => { ref.current.indeterminate = picked.size > 0 && !isAll; });
  return html`<label class="box"><input type="checkbox" ref=${ref} checked=${isAll}
    disabled=${choices === 0} aria-label="Select all rows"
    onChange=${() => onPick(list.rows.filter(client => isOpen(list, client)), !isAll)} /></label>`;
}

/** Drawn anew only when something of it has changed: there are many, and they scroll. */
class Row extends Component {
  shouldComponentUpdate(next) {
    const changing = ['session', 'gone', 'index', 'top', 'isPicked', 'isNarrow', 'isTabStop', 'minute'];
    return changing.some(name => next[name] !== this.props[name]);
  }

  render({ client, session, gone, index, top, isPicked, isTabStop, now, onPick, onOpen, onClose, onFocus }) {
    const device = deviceOf(session);
    const since = session.connected_at_ms;
    const end = session.closed;
    const stop = event => event.stopPropagation();
    const place = { transform: `translateY(${top}px)` };
    return html`
      <div class=${`row ${gone ? 'gone' : ''} ${isPicked ? 'picked' : ''}`} role="row"
        aria-rowindex=${index + 2}
        aria-selected=${isPicked} tabindex=${isTabStop ? 0 : -1} data-client=${client} style=${place}
        onClick=${() => onOpen(client)} onFocus=${() => onFocus(client)}>
        <span role="gridcell" class="cell pick"><label class="box" onClick=${stop}>
          <input type="checkbox" tabindex="-1" checked=${isPicked} disabled=${Boolean(gone || end)}
            aria-label=${`Select the session of ${userName(session.user)}`}
            onClick=${event => onPick(client, !isPicked, event.shiftKey)} /></label></span>
        <span role="gridcell" class="cell user"><a href=${userLink(session.user ?? '')} tabindex="-1"
          onClick=${stop}
          class=${session.user ? '' : 'anonymous'}>${userName(session.user)}</a></span>
        <span role="gridcell" class="cell device"><${Icon} name=${device.kind} /><span
          class="cut">${device.title}</span>
          ${appOf(session) && html`<span class="app">${appOf(session)}</span>`}</span>
        ${gone || end
          ? html`<span role="gridcell" class="cell ending cut">${
            ending(gone ?? end)}${end && ` · was here ${span(end.duration_ms)}`}</span>`
          : [html`<span role="gridcell"
            class="cell transport">${session.transport}<small>${session.protocol}</small></span>`,
            html`<span role="gridcell" class="cell address">${session.remote_addr ?? '–'}</span>`,
            html`<span role="gridcell" class="cell labels"><${Chips} labels=${session.labels} /></span>`]}
        <span role="gridcell" class="cell since"
          title=${date(since)}>${ago(since, now)}</span>
        <span role="gridcell" class="cell act">${!gone && !end && html`
          <${IconButton} icon="close" tabindex="-1" label=${`Close the session of ${userName(session.user)}`}
            onClick=${event => { stop(event); onClose(client); }} />`}</span>
      </div>`;
  }
}

export function ending({ code, reason, at_ms: at }) {
  const when = at ? `, ${ago(at, serverNow())}` : '';
  if (code === 3000) return `Left by itself${when}`;
  return `${code === null ? 'Gone' : `Closed with ${code}`}${reason ? `: ${reason}` : ''}${when}`;
}
