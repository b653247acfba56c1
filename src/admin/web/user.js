// Everything about one user: their sessions as cards, what keeps them out, what has ended lately.

import { html, useEffect, useState } from './html.js';
import { call, serverNow } from './api.js';
import { Icon } from './icons.js';
import { BlockDialog, InvalidateDialog, RevokeDialog, UnblockDialog } from './keepout.js';
import { SessionCard } from './card.js';
import { CloseDialog } from './close.js';
import { appOf, deviceOf } from './device.js';
import { ago, date, longSpan, many, userName } from './format.js';
import { ending } from './list.js';
import { SessionList } from './live.js';
import { sessionsLink } from './route.js';
import { filterOfUser, selectorOfUser } from './selector.js';
import { useStore } from './store.js';
import { CopyButton, Empty, Failure, Loading, useNow } from './ui.js';

const ENDED_MAX = 20;
/** More cards than anybody reads; the list of sessions has them all. */
const CARDS_MAX = 60;

export function User({ user }) {
  const [loads, setLoads] = useState(0);
  return html`<${OneUser} key=${`${loads} ${user}`} user=${user} onReload=${() => setLoads(loads + 1)} />`;
}

/** What the server knows beside sessions; a call it does not offer leaves its part out. */
function useKnown(user, version) {
  const [known, setKnown] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    const ask = async (name, method, params, pick) => {
      try {
        const value = pick(await call(method, params, abort.signal));
        setKnown(before => ({ ...before, [name]: value }));
      } catch (error) {
        if (!abort.signal.aborted) setKnown(before => ({ ...before, [name]: null }));
      }
    };
    if (user) {
      ask('status', 'get_user_status', { users: [user] }, ({ statuses }) => statuses[0]);
      ask('block', 'get_user_block', { user }, result => result);
    }
    ask('ended', 'connections', { ...selectorOfUser(user), state: 'closed', sort: '-connected_at', limit: ENDED_MAX },
      ({ clients, connections }) => clients.map(client => ({ client, ...connections[client] })));
    return () => abort.abort();
  }, [user, version]);
  return known;
}

function OneUser({ user, onReload }) {
  const [list] = useState(() => new SessionList({ selector: selectorOfUser(user), sort: '-connected_at' }));
  useStore(list);
  useEffect(() => () => list.stop(), []);
  const [asks, setAsks] = useState(0);
  const known = useKnown(user, `${asks} ${list.count} ${list.gone.size}`);
  const [dialog, setDialog] = useState(null);

  const close = () => setDialog(null);
  const done = () => setAsks(asks + 1);
  const open = list.rows.filter(client => !list.gone.has(client));
  const of = `of ${userName(user)}`;
  const closeSome = target => setDialog({ target: { canFence: true, ...target } });
  const closeOne = client => closeSome({ title: 'Close this session', clients: [client], what: of });
  const closeOthers = client => closeSome({
    title: 'Close all other sessions', selector: { user }, except: [client], what: `all ${of} but this one`,
    canFence: false,
  });
  const closeAll = () => closeSome({ title: `Close all sessions ${of}`, selector: { user }, what: `all ${of}` });
  const revoke = uid => setDialog({ revoke: uid });
  const withToken = uid => open.filter(client => tokenOf(list.sessions.get(client)) === uid).length;

  const shown = dialog ?? {};
  const rest = { user, onClose: close, onDone: done, sessions: list.count };
  return html`
    <section class="screen user-screen" aria-labelledby="user-title">
      <${Head} user=${user} list=${list} known=${known} onCloseAll=${closeAll}
        onDialog=${name => setDialog({ [name]: true })} />
      <${Cards} list=${list} user=${user} onReload=${onReload} onClose=${closeOne}
        onCloseOthers=${closeOthers} onRevoke=${revoke} />
      <${Ended} ended=${known.ended} />
      ${shown.target && html`<${CloseDialog} target=${shown.target} onClose=${close}
        onDone=${list.closed.bind(list)} />`}
      ${shown.block && html`<${BlockDialog} ...${rest} />`}
      ${shown.unblock && html`<${UnblockDialog} ...${rest} />`}
      ${shown.invalidate && html`<${InvalidateDialog} ...${rest} />`}
      ${shown.revoke && html`<${RevokeDialog} ...${rest} uid=${shown.revoke}
        sessions=${withToken(shown.revoke)} />`}
    </section>`;
}

const tokenOf = session => session?.state?.connection_token?.uid;

function Head({ user, list, known, onCloseAll, onDialog }) {
  const now = useNow(serverNow);
  const { status, block } = known;
  const isBlocked = block?.blocked;
  return html`
    <header class="user-head">
      <span class=${`avatar ${list.count > 0 ? 'online' : ''}`}
        aria-hidden="true">${(user || '?').slice(0, 1).toUpperCase()}</span>
      <div class="user-name">
        <h1 id="user-title" tabindex="-1">${userName(user)}${user && html`<${CopyButton} text=${user}
          label="Copy the user's id" />`}</h1>
        <p class="user-facts" aria-live="polite">
          ${list.phase === 'loading' ? 'Loading …' : list.count > 0
            ? html`<span class="live">online</span><span>${many(list.count, 'session')}</span>` : html`<span
              class="live off">offline</span>`}
          ${list.isStale && html`<span class="live stale">not live: connecting again …</span>`}
          ${status?.online && list.count === 0 && html`<span>last online <span
            title=${date(1000 * status.online)}>${ago(1000 * status.online, now)}</span></span>`}
          ${status?.active && html`<span>active ${ago(1000 * status.active, now)}</span>`}
          ${status?.state && html`<span>state “${status.state}”</span>`}
          ${isBlocked && html`<span
            class="badge bad">blocked ${block.expire_at ? `until ${date(1000 * block.expire_at)}` : 'until it is undone'}</span>`}
        </p>
      </div>
      <div class="buttons">
        ${list.count > 0 && html`<button type="button" class="danger"
          onClick=${onCloseAll}>Close all …</button>`}
        ${user && html`
          ${(!isBlocked || !block) && html`<button type="button"
            onClick=${() => onDialog('block')}>Block …</button>`}
          ${(isBlocked || !block) && html`<button type="button"
            onClick=${() => onDialog('unblock')}>Unblock …</button>`}
          <button type="button" onClick=${() => onDialog('invalidate')}>Invalidate tokens …</button>`}
      </div>
    </header>`;
}

function Cards({ list, user, onReload, onClose, onCloseOthers, onRevoke }) {
  if (list.phase === 'failed') return html`<${Failure} text=${list.error} onRetry=${onReload} />`;
  if (list.phase === 'loading') return html`<${Loading}>Loading sessions …<//>`;
  const changes = list.fresh.size;
  const cards = list.rows.slice(0, CARDS_MAX);
  const rest = list.rows.length - cards.length;
  return html`
    ${list.isUnsettled && html`<button type="button" class="news" onClick=${() => list.settle()}>${
      changes > 0 ? `${many(changes, 'new session')} · Show` : 'Put away what has ended'}</button>`}
    ${cards.length === 0
      ? html`<${Empty} title=${`${userName(user)} is not connected`}>When a device connects, it appears here by itself.<//>`
      : html`<div class="cards">${cards.map(client => {
        const session = list.sessions.get(client);
        const uid = tokenOf(session);
        return html`<${SessionCard} key=${client} client=${client} session=${session}
          gone=${list.gone.get(client)}
          onClose=${() => onClose(client)} onRevoke=${() => onRevoke(uid)}
          onCloseOthers=${list.count > 1 ? () => onCloseOthers(client) : null} />`;
      })}</div>`}
    ${rest > 0 && html`<p class="note">and ${many(rest, 'more session', 'more sessions')}:
      <a href=${sessionsLink({ user: filterOfUser(user) })}>all of them in the list</a></p>`}`;
}

function Ended({ ended }) {
  if (!ended?.length) return null;
  return html`
    <section class="ended" aria-labelledby="ended-title">
      <h2 id="ended-title">Recently closed</h2>
      <ul>${ended.map(session => html`<${EndedOne} key=${session.client} session=${session} />`)}</ul>
    </section>`;
}

function EndedOne({ session }) {
  const { kind, title } = deviceOf(session);
  const whence = [appOf(session), session.remote_addr].filter(Boolean).join(' · ');
  const length = longSpan(session.closed.duration_ms);
  return html`
    <li><${Icon} name=${kind} />
      <span class="ended-what"><b>${title}</b><small>${whence}</small></span>
      <span class="ended-how">${ending(session.closed)}<small>was here ${length}</small></span></li>`;
}
