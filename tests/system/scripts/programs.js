// SPDX-License-Identifier: BSD-3-Clause
// Parts of node with checked results; the last line is printed when all is right.
const assert = require('assert'), fs = require('fs'), crypto = require('crypto'), zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

if (!isMainThread) {
	// Adds to shared memory, then answers with primes of its part.
	const counter = new Int32Array(workerData.shared);
	for (let i = 0; i < 5000; i++)
		Atomics.add(counter, 0, 1);
	let found = 0;
	for (let n = workerData.from; n < workerData.to; n++) {
		let prime = n > 1;
		for (let d = 2; prime && d * d <= n; d++)
			prime = n % d !== 0;
		found += prime;
	}
	parentPort.postMessage(found);
} else {
	main().then(() => { console.log('all right'); process.exitCode = 6; },
		e => { console.error(e); process.exitCode = 1; });
}

async function files() {
	const dir = fs.mkdtempSync('/tmp/n'), data = crypto.randomBytes(200000);
	await Promise.all([...Array(20).keys()].map(i => fs.promises.writeFile(`${dir}/${i}`, data)));
	const sizes = await Promise.all([...Array(20).keys()].map(async i => (await fs.promises.stat(`${dir}/${i}`)).size));
	assert(sizes.every(s => s === 200000));
	assert.deepStrictEqual(fs.readdirSync(dir).length, 20);
	await new Promise((ok, bad) => fs.createReadStream(`${dir}/3`).pipe(fs.createWriteStream(`${dir}/copy`))
		.on('finish', ok).on('error', bad));
	assert(fs.readFileSync(`${dir}/copy`).equals(data));
	fs.rmSync(dir, { recursive: true });
}

async function compression() {
	const data = Buffer.from('a line of text '.repeat(20000));
	for (const [c, d] of [[zlib.gzip, zlib.gunzip], [zlib.brotliCompress, zlib.brotliDecompress], [zlib.deflate, zlib.inflate]]) {
		const packed = await new Promise((ok, bad) => c(data, c === zlib.brotliCompress ?
			{ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } } : {}, (e, r) => e ? bad(e) : ok(r)));
		assert(packed.length < data.length / 10);
		const back = await new Promise((ok, bad) => d(packed, (e, r) => e ? bad(e) : ok(r)));
		assert(back.equals(data));
	}
}

async function cryptography() {
	assert.strictEqual(crypto.createHash('sha256').update('abc').digest('hex'),
		'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
	const key = await new Promise((ok, bad) => crypto.pbkdf2('password', 'salt', 1000, 32, 'sha256', (e, k) => e ? bad(e) : ok(k)));
	assert.strictEqual(key.toString('hex'), '632c2812e46d4604102ba7618e9d6d7d2f8128f6266b4a03264d2a0460b7dcb3');
	const { privateKey, publicKey } = crypto.generateKeyPairSync('ed25519');
	assert(crypto.verify(null, Buffer.from('text'), publicKey, crypto.sign(null, Buffer.from('text'), privateKey)));
	const iv = Buffer.alloc(12, 1), cipher = crypto.createCipheriv('aes-256-gcm', key, iv);
	const packed = Buffer.concat([cipher.update('secret'), cipher.final()]);
	const open = crypto.createDecipheriv('aes-256-gcm', key, iv).setAuthTag(cipher.getAuthTag());
	assert.strictEqual(Buffer.concat([open.update(packed), open.final()]).toString(), 'secret');
}

async function workers() {
	const shared = new SharedArrayBuffer(4), step = 5000;
	const found = await Promise.all([...Array(4).keys()].map(i => new Promise((ok, bad) => {
		new Worker(__filename, { workerData: { shared, from: i * step, to: (i + 1) * step } }).on('message', ok).on('error', bad);
	})));
	assert.strictEqual(found.reduce((a, b) => a + b), 2262); // primes below 20000
	assert.strictEqual(new Int32Array(shared)[0], 20000);
}

async function computing() {
	const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
	assert.strictEqual(fib(22), 17711);
	const m = new Map();
	for (let i = 0; i < 50000; i++)
		m.set('k' + i % 997, (m.get('k' + i % 997) || 0) + i);
	assert.strictEqual([...m.values()].reduce((a, b) => a + b), 49999 * 25000);
	const garbage = [];
	for (let i = 0; i < 60; i++) {
		garbage[i % 10] = new Array(20000).fill({ i });
	}
	assert.strictEqual(garbage[9][0].i, 59);
}

async function timers() {
	const order = [];
	await new Promise(ok => {
		setTimeout(() => { order.push('timeout'); ok(); }, 20);
		setImmediate(() => order.push('immediate'));
		process.nextTick(() => order.push('tick'));
		Promise.resolve().then(() => order.push('promise'));
	});
	assert.deepStrictEqual(order, ['promise', 'tick', 'immediate', 'timeout']);
}

async function main() {
	for (const part of [files, compression, cryptography, workers, computing, timers]) {
		await part();
		console.log(part.name);
	}
}
