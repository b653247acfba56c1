// Says the values under the pointer. Without it the page says all the same, less precisely.
for (const area of document.querySelectorAll('.area')) {
  const lines = [...area.querySelectorAll('[data-points]')].map(line => ({
    name: line.dataset.name, points: JSON.parse(line.dataset.points),
  }));
  const all = lines.flatMap(line => line.points);
  if (!all.length) continue;
  const cross = Object.assign(document.createElement('div'), { className: 'cross', hidden: true });
  const tip = Object.assign(document.createElement('div'), { className: 'tip', hidden: true });
  area.append(cross, tip);
  const nearest = (points, x) => points.reduce((best, point) =>
    Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best);
  const add = (element, text) => {
    tip.appendChild(document.createElement(element)).textContent = text;
  };
  const show = event => {
    const box = area.getBoundingClientRect();
    const [x, text] = nearest(all, (event.clientX - box.left) / box.width * 100);
    cross.hidden = tip.hidden = false;
    cross.style.left = `${x}%`;
    tip.replaceChildren();
    add('b', text);
    for (const line of lines) {
      // A line says nothing where it does not reach.
      const first = line.points[0], last = line.points[line.points.length - 1];
      if (!first || x < first[0] - 1 || x > last[0] + 1) continue;
      const value = nearest(line.points, x)[2];
      add('i', lines.length > 1 ? `${line.name}: ${value}` : value);
    }
    const at = box.width * x / 100, width = tip.offsetWidth;
    tip.style.left = `${Math.min(Math.max(at < box.width / 2 ? at + 10 : at - width - 10, 0), box.width - width)}px`;
  };
  const hide = () => { cross.hidden = tip.hidden = true; };
  area.addEventListener('pointermove', show);
  area.addEventListener('pointerdown', show);
  area.addEventListener('pointerleave', hide);
}
