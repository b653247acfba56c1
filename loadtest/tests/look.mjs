// Opens a page in a real browser and says what can be seen of it, on each screen in light and
// dark: an array of looks as JSON. Arguments: the browser's program, the page's file.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../tests/sdk/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const [executablePath, file] = process.argv.slice(2);
const address = pathToFileURL(file).href;
const browser = await chromium.launch({ executablePath, headless: true });
const looks = [];
for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 390, 360]) {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    const complaints = [];
    page.on('console', message => complaints.push(message.text()));
    page.on('pageerror', error => complaints.push(error.message));
    page.on('request', request => {
      const url = request.url();
      if (url !== address && !url.startsWith('data:')) complaints.push(`loads ${url}`);
    });
    await page.goto(address);
    const area = page.locator('.area').first();
    await area.hover();
    const tip = await area.locator('.tip').innerText();
    await page.mouse.move(0, 0);
    looks.push({ scheme: colorScheme, width, complaints, tip, ...await page.evaluate(look) });
    await page.close();
  }
}
await browser.close();
process.stdout.write(JSON.stringify(looks));

// Runs in the page.
function look() {
  const all = [...document.body.querySelectorAll('*')];
  const name = element => `${element.tagName}.${element.className.baseVal ?? element.className} ${element.textContent.slice(0, 40)}`;

  // Relative luminance and contrast as WCAG 2 defines them.
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\)$/.test(colour)) return colour;
    }
    throw new Error('nothing is behind');
  };

  const says = element => [...element.childNodes]
    .some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  const texts = all.filter(element => says(element) && element.checkVisibility() && element.tagName !== 'SCRIPT');
  const styles = texts.map(element => [getComputedStyle(element), behind(element)]);
  const strokes = [...document.querySelectorAll('.line')]
    .map(line => [getComputedStyle(line).stroke, behind(line.closest('.card'))]);

  const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const covering = [];
  for (const area of document.querySelectorAll('.area')) {
    const labels = [...area.querySelectorAll('span')].filter(label => label.checkVisibility());
    const boxes = labels.map(label => label.getBoundingClientRect());
    boxes.forEach((box, nth) => boxes.slice(nth + 1).forEach((other, more) => {
      if (overlaps(box, other)) covering.push([labels[nth], labels[nth + 1 + more]].map(name));
    }));
  }

  return {
    hit: window.hit ?? null,
    overflowing: all.filter(element => element.getBoundingClientRect().right > innerWidth + 0.5).map(name)
      .concat(document.documentElement.scrollWidth > innerWidth ? ['the page'] : []),
    covering,
    text_px_min: Math.min(...styles.map(([style]) => parseFloat(style.fontSize))),
    text_contrast_min: Math.min(...styles.map(([style, back]) => contrast(style.color, back))),
    line_contrast_min: Math.min(...strokes.map(([stroke, back]) => contrast(stroke, back))),
    lines: [...document.querySelectorAll('.line')].map(line => {
      const { width, height } = line.getBoundingClientRect();
      return { width, height };
    }),
    page_luminance: luminance(getComputedStyle(document.body).backgroundColor),
  };
}
