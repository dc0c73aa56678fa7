// The yardstick of `bench/run sync`: a full sync as one writes it in Node. Pages of 500 by offset, the next one travelling while
// this one is stored; each record compared with what is there; one transaction a page, WAL, synchronous=FULL.
//
//   node sync_reference.mjs URL KEY TOTAL DIR      better-sqlite3 and undici are taken from $ATTIOD_BENCH_NODE/node_modules
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [url, key, total, dir] = process.argv.slice(2);
const require = createRequire(join(process.env.ATTIOD_BENCH_NODE, 'package.json'));
const Database = require('better-sqlite3');
const { Pool } = require('undici');
const LIMIT = 500;

const db = new Database(join(dir, 'reference.db'));
for (const pragma of ['page_size = 8192', 'journal_mode = WAL', 'synchronous = full', 'cache_size = -131072', 'wal_autocheckpoint = 8000']) {
  db.pragma(pragma);
}
db.exec('CREATE TABLE people (record_id TEXT PRIMARY KEY, body TEXT NOT NULL)');
const known = db.prepare('SELECT body FROM people WHERE record_id = ?').pluck();
const store = db.prepare('INSERT INTO people VALUES (?, ?) ON CONFLICT (record_id) DO UPDATE SET body = excluded.body');
const client = new Pool(url, { connections: 2 });

async function page(offset) {
  const answer = await client.request({
    method: 'POST',
    path: '/v2/objects/people/records/query',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ limit: LIMIT, offset }),
  });
  return (await answer.body.json()).data;
}

const storePage = db.transaction((records) => {
  let written = 0;
  for (const record of records) {
    const body = JSON.stringify(record);
    if (known.get(record.id.record_id) !== body) {
      store.run(record.id.record_id, body);
      written += 1;
    }
  }
  return written;
});

for (const pass of ['first', 'unchanged']) {
  const start = process.hrtime.bigint();
  const before = process.cpuUsage();
  let seen = 0;
  let written = 0;
  let next = page(0);
  for (;;) {
    const records = await next;
    seen += records.length;
    const last = records.length < LIMIT || seen >= Number(total);
    if (!last) next = page(seen);
    written += storePage(records);
    if (last) break;
  }
  const cpu = process.cpuUsage(before);
  console.log(JSON.stringify({
    pass, seen, written,
    secs: Number(process.hrtime.bigint() - start) / 1e9,
    cpu: (cpu.user + cpu.system) / 1e6,
    mib: process.resourceUsage().maxRSS / 1024,
  }));
}
db.close();
await client.close();
