// The screen of all sessions: filters, groups, the list, and closing what is meant.

import { html, useEffect, useMemo, useState } from './html.js';
import { SessionCard } from './card.js';
import { CloseDialog } from './close.js';
import { Filters } from './filters.js';
import { clock, count, many, userName } from './format.js';
import { Groups } from './groups.js';
import { Rows } from './list.js';
import { SessionList, WATCHED_MAX } from './live.js';
import { nodeWatch } from './node.js';
import { route } from './route.js';
import { FILTERS, filtersOf, isEverybody, mistakes, selectorOf } from './selector.js';
import { useStore } from './store.js';
import { Dialog, Empty, Failure, Loading } from './ui.js';

export function Sessions() {
  useStore(route);
  const { query } = route;
  const filters = filtersOf(query);
  const sort = query.get('sort') ?? '-connected_at';
  const state = query.get('state') ?? 'open';
  const by = query.get('group') ?? '';
  const refine = changes => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value) next.set(name, value);
      else next.delete(name);
    }
    route.refine(next);
  };
  const setFilters = wanted => refine(Object.fromEntries(FILTERS.map(name => [name, wanted[name]])));
  const addFilter = added => {
    const both = filters.label && added.label ? { label: `${filters.label}, ${added.label}` } : added;
    setFilters({ ...filters, ...both });
  };

  // Another query is another list, with nothing selected.
  const [loads, setLoads] = useState(0);
  const wanted = JSON.stringify([filters, sort, state, loads]);
  const selector = useMemo(() => (Object.keys(mistakes(filters)).length > 0 ? null : selectorOf(filters)), [wanted]);
  const reload = () => setLoads(loads + 1);
  return html`
    <section class="screen sessions" aria-labelledby="sessions-title">
      <h1 id="sessions-title" class="hidden">Sessions</h1>
      <${Filters} filters=${filters} onChange=${setFilters} state=${state}
        onState=${value => refine({ state: value === 'open' ? '' : value })} />
      ${selector && html`
        <${Listing} key=${wanted} selector=${selector} sort=${sort} state=${state} onReload=${reload}
          onSort=${value => refine({ sort: value })} isFiltered=${Object.keys(filters).length > 0} onClear=${() => setFilters({})}
          groups=${version => html`<${Groups} selector=${selector} state=${state} by=${by} version=${version}
            onBy=${value => refine({ group: value })} onPick=${addFilter} />`} />`}
    </section>`;
}

function Listing({ selector, sort, state, onReload, onSort, isFiltered, onClear, groups }) {
  const [list] = useState(() => new SessionList({ selector, sort, state }));
  useStore(list);
  const [picked, setPicked] = useState(() => new Set());
  const [opened, setOpened] = useState(null);
  const [target, setTarget] = useState(null);
  const restarts = useStore(nodeWatch).restarts;
  const [restartsAtFirst] = useState(restarts);
  useEffect(() => () => list.stop(), []);
  // Pages of another process have other cursors.
  useEffect(() => { if (restarts !== restartsAtFirst && !list.isLive) onReload(); }, [restarts]);

  // What has ended cannot be closed any more.
  const isOpen = client => list.sessions.has(client) && !list.gone.has(client);
  const still = useMemo(() => new Set([...picked].filter(isOpen)), [picked, list.version]);
  const pick = (clients, isPicked) => setPicked(before => {
    const after = new Set(before);
    for (const client of clients) {
      if (isPicked) after.add(client);
      else after.delete(client);
    }
    return after;
  });
  const closeOne = client => setTarget({
    title: 'Close this session', clients: [client], what: `of ${userName(list.sessions.get(client).user)}`,
  });
  const all = {
    selector, isEverybody: isEverybody(selector),
    what: isFiltered ? 'all that match the filters' : 'everybody on this node',
  };
  const closing = {
    selected: () => setTarget({ title: 'Close the selected sessions', clients: [...still], what: 'those selected' }),
    others: () => setTarget({ ...all, title: 'Close all but the selected sessions', except: [...still],
      what: `${all.what}, but the ${count(still.size)} selected` }),
    all: () => setTarget({ ...all, title: isFiltered ? 'Close all that match' : 'Close all sessions' }),
  };

  const body = () => {
    if (list.phase === 'failed') return html`<${Failure} text=${list.error} onRetry=${onReload} />`;
    if (list.phase === 'loading') return html`<${Loading}>Loading sessions …<//>`;
    if (list.rows.length === 0) return html`<${Nobody} state=${state} isFiltered=${isFiltered}
      onClear=${onClear} />`;
    return html`<${Rows} list=${list} version=${list.version} sort=${sort} onSort=${onSort} picked=${still}
      onPick=${pick}
      onOpen=${setOpened} onClose=${closeOne} />`;
  };
  return html`
    ${groups(list.isLive ? Math.floor((list.loadedAt ?? 0) / 1000) : 0)}
    <${Bar} list=${list} state=${state} picked=${still} closing=${closing} onReload=${onReload}
      onUnpick=${() => setPicked(new Set())} />
    ${body()}
    ${opened && html`<${Dialog} title="Session" kind="wide" onClose=${() => setOpened(null)}>
      <${SessionCard} client=${opened} session=${list.sessions.get(opened)}
        gone=${list.gone.get(opened)} isAlone
        onClose=${() => closeOne(opened)} /><//>`}
    ${target && html`<${CloseDialog} target=${target} onClose=${() => setTarget(null)}
      onDone=${(clients, code, reason) => { list.closed(clients, code, reason); setPicked(new Set()); }} />`}`;
}

function Bar({ list, state, picked, closing, onReload, onUnpick }) {
  const { fresh, gone } = list;
  const changes = [[fresh.size, 'new'], [gone.size, 'gone']].filter(([number]) => number > 0);
  const news = changes.map(([number, what]) => `${count(number)} ${what}`).join(', ');
  return html`
    <div class="bar-line">
      <p class="hidden" role="status">${list.phase === 'shown' && `${many(list.rows.length, 'row')} shown`}</p>
      <p class="total">${list.phase === 'loading' ? '' : html`<b>${many(list.count, 'session')}</b>`}
        ${list.phase === 'shown' && state === 'open' && html`<${Liveness} list=${list} />`}
        ${list.expressionErrors > 0 && html`<small
          class="wrong">The expression fails for ${many(list.expressionErrors, 'session')}; ask has(…) first.</small>`}</p>
      ${news && list.isLive && html`<button type="button" class="news"
        onClick=${() => list.settle()}>${news} · Update</button>`}
      ${!list.isLive && list.phase === 'shown' && html`<button type="button"
        onClick=${onReload}>Reload</button>`}
      ${state === 'open' && list.count > 0 && html`
        <div class="bulk" role="group" aria-label="Close sessions">
          ${picked.size > 0 ? html`
            <span class="picked-count">${count(picked.size)} selected</span>
            <button type="button" class="quiet" onClick=${onUnpick}>Unselect</button>
            <button type="button" onClick=${closing.others}>Close all others …</button>
            <button type="button" class="danger"
              onClick=${closing.selected}>Close ${count(picked.size)} …</button>`
          : html`<button type="button" class="danger quiet"
            onClick=${closing.all}>Close all ${count(list.count)} …</button>`}
        </div>`}
    </div>`;
}

function Liveness({ list }) {
  if (list.isLive && list.isStale) return html`<span class="live stale">not live: connecting again …</span>`;
  if (list.isLive) return html`<span class="live">live</span>`;
  return html`<span class="live off"
    title=${`Up to ${count(WATCHED_MAX)} sessions are followed as they come and go.`}>as of ${clock(list.loadedAt)}</span>`;
}

function Nobody({ state, isFiltered, onClear }) {
  if (isFiltered) {
    return html`<${Empty} title="No session matches">Perhaps a filter is too narrow, or nobody like this is ${
      state === 'closed' ? 'remembered' : 'connected right now'}. <button type="button"
        onClick=${onClear}>Clear the filters</button><//>`;
  }
  if (state === 'closed') return html`<${Empty}
    title="Nothing has been closed lately">Sessions that end stand here for a while.<//>`;
  return html`<${Empty} title="Nobody is connected">As soon as a client connects, it stands here.<//>`;
}
