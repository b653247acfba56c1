// The frame around all screens: who is in, whether the server is there, where one can go.

import { html, render, useEffect, useRef, useState } from './html.js';
import { access, begin, signOut } from './api.js';
import { Console } from './console.js';
import { Icon } from './icons.js';
import { Login } from './login.js';
import { Mark } from './mark.js';
import { nodeWatch } from './node.js';
import { Overview } from './overview.js';
import { route, userLink } from './route.js';
import { Sessions } from './sessions.js';
import { useStore } from './store.js';
import { theme } from './theme.js';
import { Empty, Failure, IconButton, Loading, Notices } from './ui.js';
import { User } from './user.js';

const SCREENS = [['overview', 'Overview'], ['sessions', 'Sessions'], ['console', 'API console']];

function App() {
  useStore(access);
  const [error, setError] = useState(null);
  const start = () => {
    setError(null);
    begin().catch(error => setError(error.message));
  };
  useEffect(start, []);
  useEffect(() => { if (access.state === 'in') nodeWatch.run(); }, [access.state]);

  if (access.state === 'unknown') {
    return html`<main>${error ? html`<${Failure} text=${error}
      onRetry=${start} />` : html`<${Loading}>Asking the server …<//>`}</main>`;
  }
  const isIn = access.state === 'in';
  return html`
    ${access.hasBeenIn && html`<div class="frame" hidden=${!isIn}><${Top} /><${Banners} /><${Main} /></div>`}
    ${!isIn && html`<${Login} />`}
    <${Notices} />`;
}

function Top() {
  useStore(route);
  useStore(theme);
  const isUser = route.screen === 'user';
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header class="top">
      <a class="brand" href="#/overview" aria-label="Rollcall, overview"><${Mark} /><span>Rollcall</span></a>
      <nav class="screens" aria-label="Screens">${SCREENS.map(([name, title]) => html`
        <a key=${name} href=${`#/${name}`}
          aria-current=${route.screen === name || (isUser && name === 'sessions') ? 'page' : undefined}>${title}</a>`)}</nav>
      <${FindUser} />
      <div class="tools">
        <${IconButton} icon=${theme.isDark ? 'sun' : 'moon'}
          label=${theme.isDark ? 'Light colours' : 'Dark colours'} onClick=${() => theme.toggle()} />
        ${!access.insecure && html`<${IconButton} icon="leave" label="Sign out" onClick=${signOut} />`}
      </div>
    </header>`;
}

/** The address behind `#` says where one is: a plain link to the content would change it. */
function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

function FindUser() {
  const field = useRef();
  useEffect(() => {
    const onKey = event => {
      const isTyping = event.target.closest?.('input, textarea, select, dialog');
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      field.current.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  const submit = event => {
    event.preventDefault();
    const user = field.current.value.trim();
    if (!user) return;
    location.hash = userLink(user);
    field.current.value = '';
    field.current.blur();
  };
  return html`
    <form class="find" role="search" onSubmit=${submit}>
      <${Icon} name="find" />
      <input ref=${field} type="search" aria-label="Find a user by id" placeholder="Find a user by id"
        autocomplete="off"
        autocapitalize="off" spellcheck=${false} title="Press / to come here" />
    </form>`;
}

function Banners() {
  useStore(access);
  return html`
    ${access.insecure && html`<p class="banner fair"
      role="status"><b>Anybody who reaches this page can use it:</b>${' '}
      <code>admin.insecure</code> is on. Turn it off where others can come.</p>`}
    ${access.lostSince !== null && html`<p class="banner bad" role="alert"><b>The server does not answer.</b>${' '}
      What you see is from before; this page tries again by itself.</p>`}`;
}

function Main() {
  useStore(route);
  const main = useRef();
  const isFirst = useRef(true);
  const place = `${route.screen}/${route.id}`;
  useEffect(() => {
    document.title = `${titleOf()} · Rollcall`;
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    scrollTo(0, 0);
    if (route.screen !== 'console') main.current.focus({ preventScroll: true });
  }, [place]);
  return html`<main id="main" ref=${main} tabindex="-1" class=${`on-${route.screen}`}>${screen()}</main>`;
}

function screen() {
  switch (route.screen) {
    case 'overview': return html`<${Overview} />`;
    case 'sessions': return html`<${Sessions} />`;
    case 'user': return html`<${User} user=${route.id} />`;
    case 'console': return html`<${Console} />`;
    default: return html`<${Empty} title="There is nothing here">The address of this page names no screen. <a
      href="#/overview">To the overview</a><//>`;
  }
}

function titleOf() {
  if (route.screen === 'user') return route.id || 'anonymous';
  return SCREENS.find(([name]) => name === route.screen)?.[1] ?? 'Nothing';
}

render(html`<${App} />`, document.getElementById('app'));
