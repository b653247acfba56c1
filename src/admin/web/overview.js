// The health of a node at a glance: what is wrong in words, then numbers, then charts and shards.

import { html } from './html.js';
import { access } from './api.js';
import { Chart } from './chart.js';
import { bytes, count, longSpan, many, micros, rate } from './format.js';
import { nodeWatch } from './node.js';
import { useStore } from './store.js';
import { Failure, Loading } from './ui.js';

const PEOPLE = [
  { name: 'sessions', title: 'sessions', colour: 'line-1' }, { name: 'users', title: 'users', colour: 'line-2' },
];
const COMING = [
  { name: 'opened', title: 'connects', colour: 'line-1' }, { name: 'closed', title: 'closes', colour: 'line-3' },
];
const QUERIES = [{ name: 'queries', title: 'queries', colour: 'line-1' }];
const TIMES = [
  { name: 'p50', title: 'p50', colour: 'line-1' }, { name: 'p99', title: 'p99', colour: 'line-2' },
  { name: 'p999', title: 'p99.9', colour: 'line-3' },
];
const whole = number => (number === null || number === undefined ? '–' : count(Math.round(number)));
const perSecond = number => (number === null || number === undefined ? '–' : `${rate(number)}/s`);

export function Overview() {
  useStore(nodeWatch);
  const { node, error, history, rates, version } = nodeWatch;
  if (!node && error) return html`<${Failure} text=${error} />`;
  if (!node) return html`<${Loading}>Asking the node how it is …<//>`;
  const { memory, query_us: times } = node;
  const about = [
    `version ${node.version}`, `up ${longSpan(1000 * node.uptime_s)}`,
    `${many(node.shards.length, 'shard')} on ${node.driver}`,
  ];
  return html`
    <section class="screen overview" aria-labelledby="overview-title">
      <header class="node-head">
        <h1 id="overview-title">${node.name}</h1>
        <p>${about.join(' · ')}</p>
      </header>
      <${Health} />
      <dl class="figures">
        <${Figure} name="Sessions" value=${whole(node.sessions)} note=${many(node.connections, 'connection')} />
        <${Figure} name="Users" value=${whole(node.users)} note="anonymous ones count as one" />
        <${Figure} name="Connects" value=${perSecond(rates.opened)}
          note=${`${count(node.opened_total)} since the start`} />
        <${Figure} name="Queries" value=${perSecond(rates.queries)}
          note=${`${count(node.queries_total)} since the start`} />
        <${Figure} name="Query time, p99" value=${times.count > 0 ? micros(times.p99) : '–'} note=${queryNote(times)} />
        <${Figure} name="Memory per session" value=${memory?.per_session_bytes ? bytes(memory.per_session_bytes) : '–'}
          note=${memoryNote(memory)} />
      </dl>
      <div class="charts">
        <${Chart} title="Who is here" lines=${PEOPLE} history=${history} version=${version} format=${whole} />
        <${Chart} title="Coming and going" lines=${COMING} history=${history} version=${version}
          format=${perSecond} />
        <${Chart} title="Queries" lines=${QUERIES} history=${history} version=${version} format=${perSecond} />
        <${Chart} title="Time of a query" lines=${TIMES} history=${history} version=${version}
          format=${micros} />
      </div>
      <${Shards} shards=${node.shards} />
    </section>`;
}

function queryNote({ count: asked, p50, p999, max, window_s: window }) {
  if (asked === 0) return `nobody has asked for ${window} s`;
  return `p50 ${micros(p50)} · p99.9 ${micros(p999)} · max ${micros(max)}`;
}

function memoryNote(memory) {
  if (!memory) return '';
  const all = `${bytes(memory.rss_bytes)} in all`;
  return memory.per_session_bytes ? all : `${all}; told from 1,000 sessions on`;
}

const sentence = text => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

function Health() {
  const { health } = nodeWatch;
  useStore(access);
  // What it said before it went away says nothing of now.
  if (access.lostSince !== null) return null;
  if (health.length === 0) return html`<p class="health well" role="status">Nothing is wrong.</p>`;
  return html`<ul class="health" role="alert">${health.map(({ level, what }) => html`
    <li key=${what} class=${level === 'error' ? 'bad' : 'fair'}>${sentence(what)}</li>`)}</ul>`;
}

const Figure = ({ name, value, note }) => html`
  <div class="figure"><dt>${name}</dt><dd><span class="value">${value}</span><small>${note}</small></dd></div>`;

function Shards({ shards }) {
  const most = Math.max(1, ...shards.map(({ sessions }) => sessions));
  const mean = shards.reduce((sum, { sessions }) => sum + sessions, 0) / shards.length;
  const balance = sessions => {
    if (mean === 0) return '–';
    const off = Math.round(100 * (sessions / mean - 1));
    return off === 0 ? 'even' : `${off > 0 ? '+' : '−'}${Math.abs(off)} %`;
  };
  return html`
    <section class="shards" aria-labelledby="shards-title">
      <h2 id="shards-title">Shards</h2>
      <div class="scroll-x"><table>
        <thead><tr><th scope="col">Shard</th><th scope="col" class="number">Sessions</th><th scope="col"
          class="number">Users</th>
          <th scope="col" class="number">Of the mean</th><th scope="col" class="wide-only"><span
            class="hidden">Share</span></th></tr></thead>
        <tbody>${shards.map(({ shard, sessions, users }) => html`
          <tr key=${shard}><th scope="row">${shard}</th><td class="number">${count(sessions)}</td><td
            class="number">${whole(users)}</td>
            <td class="number">${balance(sessions)}</td>
            <td class="wide-only"><span class="share"><i
              style=${{ width: `${100 * sessions / most}%` }}></i></span></td></tr>`)}
        </tbody>
      </table></div>
    </section>`;
}
