// A form for every call of the OpenAPI document.
'use strict';
const $ = id => document.getElementById(id);
let token = sessionStorage.getItem('token') || '';

function element(name, properties, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

function headers() {
  return token ? {Authorization: 'Bearer ' + token} : {};
}

function field(p) {
  const options = p.schema.enum || (p.schema.type === 'boolean' ? ['true', 'false'] : null);
  const input = options ? element('select', {}, element('option', {value: ''}), ...options.map(o => element('option', {value: o}, o)))
    : element('input', {type: p.schema.type === 'integer' ? 'number' : 'text'});
  input.name = p.name;
  input.dataset.where = p.in;
  input.required = p.required && p.in === 'query';
  return element('label', {className: 'field'}, element('span', {}, p.name + (p.required ? ' *' : ''),
    element('br'), element('small', {}, p.description || '')), input);
}

async function send(form, method, path, output) {
  const query = new URLSearchParams();
  const options = {method, headers: headers()};
  for (const i of form.elements) {
    if (!i.name) continue;
    if (i.type === 'file') {
      if (i.files[0]) options.body = i.files[0];
    } else if (i.dataset.where === 'path') {
      path = path.replace(`{${i.name}}`, i.value.split('/').map(encodeURIComponent).join('/'));
    } else if (i.value) {
      query.set(i.name, i.value);
    }
  }
  const url = path + (query.size ? '?' + query : '');
  output.textContent = `${method} ${url}\n`;
  try {
    const reply = await fetch(url, options);
    if (reply.status === 401) $('login').hidden = false;
    const type = reply.headers.get('content-type') || '';
    const blob = await reply.blob();
    output.append(`${reply.status} ${reply.statusText}, ${type}, ${blob.size} bytes\n\n`);
    let text = blob.size > 200000 ? '(too long to show)' : await blob.text();
    if (type.startsWith('application/json') && text) text = JSON.stringify(JSON.parse(text), null, 1);
    output.append(text);
  } catch (e) {
    output.append(e.message);
  }
}

function call(method, path, c) {
  const output = element('pre', {tabIndex: 0});
  output.setAttribute('role', 'log');
  const form = element('form', {}, ...c.parameters.map(field));
  if (c.requestBody)
    form.append(element('label', {className: 'field'}, 'body', element('input', {type: 'file', name: 'body'})));
  form.append(element('button', {}, 'Send'), output);
  form.onsubmit = e => {
    e.preventDefault();
    send(form, method, path, output);
  };
  const d = element('details', {className: 'call'}, element('summary', {},
    element('span', {className: 'method'}, method), element('code', {}, path), ' ' + c.summary), form);
  d.dataset.text = `${method} ${path} ${c.summary}`.toLowerCase();
  return d;
}

async function start() {
  const reply = await fetch('/openapi.json', {headers: headers()});
  $('login').hidden = reply.status !== 401;
  if (!reply.ok) {
    $('state').textContent = reply.statusText;
    return;
  }
  const doc = await reply.json();
  const list = [];
  for (const [path, methods] of Object.entries(doc.paths))
    for (const [method, c] of Object.entries(methods)) list.push(call(method.toUpperCase(), path, c));
  $('calls').replaceChildren(...list);
  $('state').textContent = list.length + ' calls';
}

$('find').oninput = () => {
  const word = $('find').value.toLowerCase();
  for (const d of $('calls').children) d.hidden = !d.dataset.text.includes(word);
};
$('login').onsubmit = e => {
  e.preventDefault();
  token = $('token').value;
  sessionStorage.setItem('token', token);
  start();
};
start();
