// What a session runs on, told from what its client calls itself.

const SYSTEMS = [
  [/iPhone(?:.*?OS (\d+)[._](\d+)|; iOS ([\d.]+))?/, 'iPhone', 'phone'],
  [/iPad/, 'iPad', 'tablet'],
  [/Android [\d.]+; ([^;)]+?)(?: Build[^)]*)?[;)]/, '', 'phone'],
  [/Android/, 'Android', 'phone'],
  [/Windows/, 'Windows', 'desktop'],
  [/Macintosh|Mac OS X|macOS/, 'Mac', 'desktop'],
  [/CrOS/, 'Chromebook', 'desktop'],
  [/Linux|X11/, 'Linux', 'desktop'],
];

const PROGRAMS = [
  [/Edg(?:A|iOS)?\/(\d+)/, 'Edge'],
  [/OPR\/(\d+)/, 'Opera'],
  [/SamsungBrowser\/(\d+)/, 'Samsung Internet'],
  [/(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/, 'Chrome'],
  [/Version\/(\d+).*Safari\//, 'Safari'],
];

/** `kind` names an icon: phone, tablet, desktop or program. */
export function deviceOf({ user_agent: agent = '', app_name: app, transport }) {
  const system = SYSTEMS.map(([pattern, name, kind]) => ({ match: pattern.exec(agent), name, kind }))
    .find(({ match }) => match);
  if (!system) {
    const [, tool] = /^([\w.-]+)\/[\d.]/.exec(agent) ?? [];
    return { kind: 'program', title: tool && tool !== 'Mozilla' ? tool : app || transport };
  }
  const place = system.name || system.match[1];
  const program = PROGRAMS.map(([pattern, name]) => pattern.test(agent) && name).find(Boolean);
  return { kind: system.kind, title: program && /^Mozilla/.test(agent) ? `${program} on ${place}` : place };
}

/** The application as it names itself; null when it does not. */
export function appOf({ app_name: name, app_version: version }) {
  if (!name && !version) return null;
  return [name || 'unnamed app', version].filter(Boolean).join(' ');
}
