// The dashboard: asks the machine it came from every second and shows the differences.
'use strict';
const $ = id => document.getElementById(id);
const HISTORY = 120;
let token = sessionStorage.getItem('token') || '';
let timer = 0, last = null, consoleAt = 0, follow = null;
const history = {};

async function ask(method, path, form) {
  const options = {method, headers: {}};
  if (token) options.headers.Authorization = 'Bearer ' + token;
  if (form) options.body = new URLSearchParams(form);
  const reply = await fetch(path, options);
  if (reply.status === 401) {
    $('login').hidden = false;
    throw new Error('a token is required');
  }
  $('login').hidden = true;
  const text = await reply.text();
  const json = (reply.headers.get('content-type') || '').startsWith('application/json');
  const value = json && text ? JSON.parse(text) : text;
  if (!reply.ok) throw new Error(value.message || reply.statusText);
  return value;
}

// Prometheus text: {name: [[labels, value], …]}
function parseMetrics(text) {
  const all = {};
  for (const line of text.split('\n')) {
    const m = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!m) continue;
    const labels = {};
    for (const l of (m[2] || '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[l[1]] = l[2];
    (all[m[1]] = all[m[1]] || []).push([labels, Number(m[3])]);
  }
  return all;
}

function value(metrics, name, match) {
  for (const [labels, v] of metrics[name] || [])
    if (Object.entries(match || {}).every(([k, w]) => labels[k] === w)) return v;
  return 0;
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + units[i];
}

const number = n => n >= 1e6 ? (n / 1e6).toFixed(1) + 'M' : n >= 1e4 ? (n / 1e3).toFixed(1) + 'k' : n < 10 && n % 1 ? n.toFixed(1) : String(Math.round(n));

function remember(key, v) {
  const h = history[key] = history[key] || [];
  h.push(v);
  if (h.length > HISTORY) h.shift();
  return h;
}

// One or two lines over the last HISTORY values, 0 at the bottom.
function draw(canvas, lines, top) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
    canvas.width = width * ratio;
    canvas.height = height * ratio;
  }
  const c = canvas.getContext('2d'), style = getComputedStyle(document.documentElement);
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  const max = top || Math.max(1, ...lines.flat());
  lines.forEach((values, i) => {
    c.strokeStyle = c.fillStyle = style.getPropertyValue(i ? '--two' : '--one');
    c.lineWidth = 1.5;
    c.beginPath();
    values.forEach((v, k) => {
      const x = width - (values.length - 1 - k) * width / (HISTORY - 1), y = height - 2 - v / max * (height - 4);
      k ? c.lineTo(x, y) : c.moveTo(x, y);
    });
    c.stroke();
    if (!i && values.length > 1) {
      c.globalAlpha = .15;
      c.lineTo(width, height);
      c.lineTo(width - (values.length - 1) * width / (HISTORY - 1), height);
      c.fill();
      c.globalAlpha = 1;
    }
  });
}

// Rows of text cells; the first cell may be a node.
function rows(body, list) {
  body.replaceChildren(...list.map(cells => {
    const tr = document.createElement('tr');
    for (const cell of cells) {
      const td = document.createElement('td');
      td.append(cell);
      tr.append(td);
    }
    return tr;
  }));
}

function showCores(m, before, seconds) {
  const names = [...new Set((m.node_cpu_seconds_total || []).map(([l]) => l.cpu))];
  for (const cpu of names) {
    let row = $('core-' + cpu);
    if (!row) {
      row = document.createElement('div');
      row.id = 'core-' + cpu;
      row.className = 'core';
      row.innerHTML = '<span></span><canvas role="img"></canvas><output></output>';
      row.firstChild.textContent = 'CPU ' + cpu;
      row.children[1].setAttribute('aria-label', 'Load of CPU ' + cpu);
      $('cores').append(row);
    }
    if (!before) continue;
    const idle = value(m, 'node_cpu_seconds_total', {cpu, mode: 'idle'}) -
      value(before, 'node_cpu_seconds_total', {cpu, mode: 'idle'});
    const busy = Math.max(0, Math.min(100, 100 * (1 - idle / seconds)));
    draw(row.children[1], [remember('cpu' + cpu, busy)], 100);
    row.children[2].textContent = busy.toFixed(0) + ' %';
  }
  const switches = before ? (value(m, 'node_context_switches_total') - value(before, 'node_context_switches_total')) / seconds : 0;
  $('load').textContent = `load ${value(m, 'node_load1').toFixed(2)}, ${number(switches)} switches/s`;
}

function showMemory(m) {
  const total = value(m, 'node_memory_MemTotal_bytes'), free = value(m, 'node_memory_MemFree_bytes');
  const cached = value(m, 'node_memory_Cached_bytes');
  draw($('memory-graph'), [remember('memory', total - free), remember('cached', cached)], total);
  $('memory-text').textContent = `${bytes(total - free)} of ${bytes(total)} in use, ${bytes(cached)} of it cached files`;
}

function rate(m, before, seconds, name, match) {
  return before ? Math.max(0, (value(m, name, match) - value(before, name, match)) / seconds) : 0;
}

function showNetwork(m, before, seconds, interfaces) {
  let sumIn = 0, sumOut = 0;
  rows($('interfaces'), interfaces.map(({config}) => {
    const device = {device: config.name};
    const i = rate(m, before, seconds, 'node_network_receive_bytes_total', device);
    const o = rate(m, before, seconds, 'node_network_transmit_bytes_total', device);
    const p = rate(m, before, seconds, 'node_network_receive_packets_total', device) +
      rate(m, before, seconds, 'node_network_transmit_packets_total', device);
    sumIn += i;
    sumOut += o;
    return [config.name, config.addr || '–', bytes(i), bytes(o), number(p)];
  }));
  draw($('network-graph'), [remember('in', sumIn), remember('out', sumOut)]);
}

function showDisks(m, before, seconds) {
  rows($('disks'), (m.node_disk_read_bytes_total || []).map(([device]) => [device.device,
    bytes(rate(m, before, seconds, 'node_disk_read_bytes_total', device)),
    bytes(rate(m, before, seconds, 'node_disk_written_bytes_total', device)),
    number(rate(m, before, seconds, 'node_disk_reads_completed_total', device) +
      rate(m, before, seconds, 'node_disk_writes_completed_total', device))]));
  rows($('mounts'), (m.node_filesystem_size_bytes || []).map(([l, size]) => {
    const used = size - value(m, 'node_filesystem_free_bytes', {mountpoint: l.mountpoint});
    return [l.mountpoint, l.fstype, bytes(size), `${bytes(used)} (${size ? Math.round(100 * used / size) : 0} %)`];
  }));
}

function showThreads(now, before) {
  const old = new Map((before ? before.list : []).map(t => [t.id, t]));
  const ms = before ? now.time_ms - before.time_ms : 0;
  const list = now.list.map(t => {
    const o = old.get(t.id);
    return {...t, percent: o && ms ? 100 * (t.cpu_ms - o.cpu_ms) / ms : 0,
      rate: o && ms ? 1000 * (t.switches - o.switches) / ms : 0};
  }).filter(t => !t.name.startsWith('idle/'));
  list.sort((a, b) => b.percent - a.percent || b.cpu_ms - a.cpu_ms);
  rows($('thread-rows'), list.slice(0, 100).map(t => [t.id, t.name, t.cpu, t.percent.toFixed(1),
    (t.cpu_ms / 1000).toFixed(2) + ' s', number(t.rate), t.status]));
}

function showCounts(now, before) {
  const old = new Map((before ? before.list : []).map(c => [c.name, c.count]));
  const seconds = before ? (now.time_ms - before.time_ms) / 1000 : 0;
  const body = $('counts'), focused = document.activeElement && document.activeElement.dataset.name;
  rows(body, now.list.map(c => {
    const stop = document.createElement('button');
    stop.textContent = 'Stop';
    stop.dataset.name = c.name;
    stop.setAttribute('aria-label', 'Stop counting ' + c.name);
    stop.onclick = () => ask('POST', '/trace/count/' + c.name, {enabled: false}).then(update, failed);
    const was = old.get(c.name);
    return [c.name, was !== undefined && seconds ? number((c.count - was) / seconds) : '–', c.count, stop];
  }));
  if (focused) {
    const again = [...body.querySelectorAll('button')].find(b => b.dataset.name === focused);
    if (again) again.focus();
  }
}

function append(pre, text) {
  const end = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 8;
  pre.append(text.replaceAll('\r', ''));
  if (pre.textContent.length > 60000) pre.textContent = pre.textContent.slice(-40000);
  if (end) pre.scrollTop = pre.scrollHeight;
}

async function showConsole() {
  const c = await ask('GET', '/os/console?offset=' + consoleAt);
  consoleAt = c.offset;
  if (c.text) append($('console'), c.text);
}

async function followProgram() {
  if (!follow) return;
  const o = await ask('GET', `/app/output?tid=${follow.tid}&offset=${follow.at}`);
  follow.at = o.offset;
  append($('run-output'), o.text);
  if (!o.finished) return;
  append($('run-output'), o.signal ? `[ended by signal ${o.signal}]\n` : `[ended with status ${o.exit_code}]\n`);
  follow = null;
}

function failed(e) {
  $('state').textContent = e.message;
  $('state').className = 'bad';
}

let busy = false;
async function update() {
  if (busy) return;
  busy = true;
  try {
    const [text, threads, counts, interfaces] = await Promise.all([ask('GET', '/metrics'),
      ask('GET', '/os/threads'), ask('GET', '/trace/count').catch(() => ({list: [], time_ms: Date.now()})),
      ask('GET', '/network/ifconfig/')]);
    const metrics = parseMetrics(text);
    const before = last && last.metrics;
    const seconds = before ? value(metrics, 'node_time_seconds') - value(before, 'node_time_seconds') : 1;
    if (!before || seconds > .2) {
      showCores(metrics, before, seconds);
      showMemory(metrics);
      showNetwork(metrics, before, seconds, interfaces);
      showDisks(metrics, before, seconds);
      showThreads(threads, last && last.threads);
      showCounts(counts, last && last.counts);
      last = {metrics, threads, counts};
    }
    await showConsole().catch(() => {});
    await followProgram();
    $('state').textContent = 'live, up ' + Math.round(value(metrics, 'carrara_uptime_seconds')) + ' s';
    $('state').className = '';
  } catch (e) {
    failed(e);
  }
  busy = false;
}

function schedule() {
  clearInterval(timer);
  const ms = Number($('interval').value);
  if (ms) timer = setInterval(() => document.hidden || update(), ms);
  else $('state').textContent = 'paused';
}

async function start() {
  try {
    const [name, version, host, cpus, under, events] = await Promise.all(['/os/name', '/os/version', '/os/hostname',
      '/hardware/processor/count', '/hardware/hypervisor', '/trace/status'].map(p => ask('GET', p).catch(e => {
      if (p === '/trace/status') return [];
      throw e;
    })));
    $('host').textContent = host;
    $('about').textContent = `${name} ${version}, ${cpus} CPU${cpus === 1 ? '' : 's'}, ${under}`;
    $('trace-names').replaceChildren(...events.map(e => {
      const o = document.createElement('option');
      o.value = e.name;
      return o;
    }));
  } catch (e) {
    failed(e);
  }
  await update();
  schedule();
}

$('interval').onchange = schedule;
$('login').onsubmit = e => {
  e.preventDefault();
  token = $('token').value;
  sessionStorage.setItem('token', token);
  start();
};
$('count-form').onsubmit = e => {
  e.preventDefault();
  ask('POST', '/trace/count/' + encodeURIComponent($('trace-name').value.trim()), {enabled: true})
    .then(() => { $('trace-name').value = ''; return update(); }, failed);
};
$('count-stop').onclick = () => ask('DELETE', '/trace/count').then(update, failed);
$('sample').onclick = async () => {
  try {
    const on = (await ask('GET', '/trace/sampler')).freq > 0;
    await ask('POST', '/trace/sampler', {freq: on ? 0 : 100});
    $('sample').textContent = on ? 'Sample 100/s' : 'Stop sampling';
  } catch (e) {
    failed(e);
  }
};
$('trace-log').onclick = async e => {
  e.preventDefault();
  try {
    const text = await ask('GET', '/trace/log');
    $('run-output').textContent = text.slice(-40000) || '(nothing was recorded)';
    $('run').scrollIntoView();
  } catch (err) {
    failed(err);
  }
};
$('run-form').onsubmit = async e => {
  e.preventDefault();
  try {
    const tid = await ask('PUT', '/app/', {command: $('command').value});
    $('run-output').textContent = `[${tid}] ${$('command').value}\n`;
    follow = {tid, at: 0};
    setTimeout(update, 300);
  } catch (err) {
    $('run-output').textContent = err.message + '\n';
  }
};
start();
