// One session as a card, as messengers show "Active sessions".

import { html } from './html.js';
import { serverNow } from './api.js';
import { appOf, deviceOf } from './device.js';
import { ago, date, shortDate, shortId, span, userName } from './format.js';
import { Icon } from './icons.js';
import { Json } from './json.js';
import { ending } from './list.js';
import { userLink } from './route.js';
import { Chips, CopyButton, useNow } from './ui.js';

/** Characters of a meta that is worth showing at once. */
const SHORT_META = 160;

/** `isAlone`: in a dialog, where the user is named and meta is open. */
export function SessionCard({ client, session, gone, isAlone, onClose, onCloseOthers, onRevoke }) {
  const now = useNow(serverNow);
  const device = deviceOf(session);
  const app = appOf(session);
  const token = session.state?.connection_token;
  const meta = session.state?.meta;
  const end = gone ?? session.closed;
  const latency = session.ping_pong_latency_ms;
  return html`
    <article class=${`card ${end ? 'gone' : ''}`} aria-label=${`${device.title}${app ? `, ${app}` : ''}`}
      data-client=${client}>
      <header class="card-head">
        <span class="device-icon"><${Icon} name=${device.kind} /></span>
        <div><h3>${device.title}</h3><p>${app ?? 'The app gives no name'}</p></div>
        ${end ? html`<span class="badge">${gone ? 'gone' : 'ended'}</span>` : html`<span
          class="badge good">online</span>`}
      </header>
      ${end && html`<p class="ending">${ending(end)}</p>`}
      <dl class="facts">
        ${isAlone && html`<${Fact} name="User"><a
          href=${userLink(session.user ?? '')}>${userName(session.user)}</a><//>`}
        <${Fact} name="Address">${session.remote_addr ?? 'not known'}<//>
        <${Fact} name="Since"><span
          title=${date(session.connected_at_ms)}>${shortDate(session.connected_at_ms, now)}<small>${
          session.closed ? `for ${span(session.closed.duration_ms)}` : ago(session.connected_at_ms, now)}</small></span><//>
        <${Fact} name="Transport">${session.transport}<small>${session.protocol}</small><//>
        ${latency >= 0 && html`<${Fact} name="Last ping"><span
          class=${latencyClass(latency)}>${latency} ms</span><//>`}
        <${Fact} name="Token">${token?.uid
          ? html`<code title=${token.uid}>${shortId(token.uid)}</code><${CopyButton} text=${token.uid}
            label="Copy the token's id" />`
          : 'without an id'}${token?.issued_at && html`<small
            title=${date(1000 * token.issued_at)}>issued ${ago(1000 * token.issued_at, now)}</small>`}<//>
        <${Fact} name="Client"><code title=${client}>${shortId(client)}</code><${CopyButton} text=${client}
          label="Copy the client's id" /><//>
        ${Object.keys(session.labels ?? {}).length > 0 && html`<${Fact} name="Labels"><${Chips}
          labels=${session.labels} /><//>`}
      </dl>
      ${meta !== undefined && html`<details class="meta"
        open=${isAlone || JSON.stringify(meta).length < SHORT_META}><summary>Meta</summary><${Json}
          value=${meta} label="Meta" /></details>`}
      ${session.user_agent && html`<details class="meta"><summary>User agent</summary><p
        class="agent">${session.user_agent}</p></details>`}
      ${!end && html`<div class="buttons">
        ${onRevoke && token?.uid && html`<button type="button" class="quiet"
          onClick=${onRevoke}>Revoke token …</button>`}
        ${onCloseOthers && html`<button type="button" class="quiet"
          onClick=${onCloseOthers}>Close others …</button>`}
        ${isAlone && html`<a class="button quiet"
          href=${userLink(session.user ?? '')}>All sessions of ${userName(session.user)}</a>`}
        <button type="button" class="danger quiet" onClick=${onClose}>${isAlone ? 'Close session …' : 'Close …'}</button>
      </div>`}
    </article>`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

const latencyClass = ms => (ms < 50 ? 'good' : ms < 150 ? 'fair' : 'wrong');
