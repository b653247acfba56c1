// How many sessions have which transport, app or label. A row is a filter to be clicked.

import { html, useEffect, useState } from './html.js';
import { call } from './api.js';
import { count, many } from './format.js';
import { Failure, Loading } from './ui.js';

const BY = [
  ['transport', 'Transport', value => ({ transport: value })],
  ['protocol', 'Protocol', value => ({ protocol: value })],
  ['app_name', 'App', value => ({ app: value })],
  ['app_version', 'App version', value => ({ version: value })],
];
const SHOWN_MAX = 12;

/** `by`: what `group_by` takes, or empty for none; `version` changes when it is to be asked again. */
export function Groups({ selector, state, by, onBy, onPick, version }) {
  const key = by.startsWith('label:') ? by.slice(6) : '';
  const [label, setLabel] = useState(key);
  const [answer, setAnswer] = useState({});
  const asked = JSON.stringify([selector, state, by]);
  useEffect(() => {
    if (!by || by === 'label:') return;
    const abort = new AbortController();
    const closed = state === 'closed' ? { state } : {};
    call('connections', { ...selector, ...closed, count_only: true, group_by: by }, abort.signal)
      .then(result => setAnswer({ asked, result }))
      .catch(error => { if (!abort.signal.aborted) setAnswer({ asked, error: error.message }); });
    return () => abort.abort();
  }, [asked, version]);

  const chooseLabel = event => {
    event.preventDefault();
    onBy(label ? `label:${label}` : 'label:');
  };
  return html`
    <section class="groups" aria-label="Groups">
      <div class="group-by">
        <label class="field inline">Group by
          <select value=${by.startsWith('label:') ? 'label:' : by}
            onChange=${event => onBy(event.target.value)}>
            <option value="">nothing</option>
            ${BY.map(([value, title]) => html`<option key=${value} value=${value}>${title}</option>`)}
            <option value="label:">Label …</option>
          </select></label>
        ${by.startsWith('label:') && html`
          <form class="label-key" onSubmit=${chooseLabel}>
            <input aria-label="Label" placeholder="label, such as region" value=${label}
              onInput=${event => setLabel(event.target.value)} onBlur=${chooseLabel} /></form>`}
      </div>
      ${by && by !== 'label:' && (answer.asked === asked
        ? answer.error ? html`<${Failure} text=${answer.error} />`
        : html`<${Bars} result=${answer.result} onPick=${value => onPick(filterFor(by, value))} />`
        : html`<${Loading} />`)}
    </section>`;
}

function filterFor(by, value) {
  if (by.startsWith('label:')) return { label: `${by.slice(6)}=${value}` };
  return BY.find(([name]) => name === by)[2](value);
}

function Bars({ result, onPick }) {
  const groups = Object.entries(result.groups ?? {}).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const most = groups[0]?.[1] ?? 0;
  const without = result.count - groups.reduce((sum, [, sessions]) => sum + sessions, 0);
  const notes = [
    groups.length > SHOWN_MAX && `the ${SHOWN_MAX} most frequent are shown`,
    result.groups_truncated && 'there are more than the server counts',
    without > 0 && !result.groups_truncated && `${many(without, 'session')} without one`,
  ];
  return html`
    <ul class="bars">
      ${groups.slice(0, SHOWN_MAX).map(([value, sessions]) => html`
        <li key=${value}><button type="button" disabled=${value === ''} onClick=${() => onPick(value)}
          title=${`Filter by ${value}`}>
          <span class="bar" style=${{ width: `${100 * sessions / most}%` }}></span>
          <span class="bar-name cut">${value || 'none given'}</span><span
            class="bar-count">${count(sessions)}</span></button></li>`)}
    </ul>
    <p class="note">${many(groups.length, 'value')}${notes.filter(Boolean).map(note => `; ${note}`)}.</p>`;
}
