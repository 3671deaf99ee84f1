// Appends balance samples to Emmett's event store, one event an append, as fast as answers come.
//
//   PEER_DATABASE_URL=postgres://... node emmett.mjs append|inline CALLERS STREAMS SECONDS
//
// It warms up, says "ready." on stderr, waits for a line on stdin, measures, and prints one JSON object on stdout. With
// inline, each append changes one row of a projection in its transaction. Appends expect nothing of their stream; those that
// Emmett refuses all the same, as two met on one stream, are errors.

import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { sql } from '@event-driven-io/dumbo';
import { projections } from '@event-driven-io/emmett';
import { getPostgreSQLEventStore, postgreSQLRawSQLProjection } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const warmUpSeconds = 1.5;
const assets = ['USDT', 'BTC', 'ETH', 'BNB'];

// balances is what the samples are folded into: a row for each asset of an account, as Robson's own table of that name.
const balances = postgreSQLRawSQLProjection({
  name: 'balances',
  canHandle: ['BalanceSampled'],
  init: () =>
    sql(`create table if not exists balances (
      account_id uuid, asset text, free numeric not null, total numeric not null, sampled_at timestamptz not null,
      primary key (account_id, asset))`),
  evolve: ({ data }) =>
    sql(
      `insert into balances (account_id, asset, free, total, sampled_at) values (%L, %L, %L, %L, %L)
       on conflict (account_id, asset) do update set free = excluded.free, total = excluded.total, sampled_at = excluded.sampled_at`,
      data.account_id, data.asset, data.free, data.total, data.sampled_at,
    ),
});

// accountOf is the id of an account: the same in every run, so that streams grow.
const accountOf = (number) => `aaaaaaaa-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;

// sampled is an event as large as those of the other loads.
function sampled(account) {
  const free = `${randomInt(100_000)}.${String(randomInt(10_000_000)).padStart(7, '0')}1`;
  const at = new Date().toISOString();
  return {
    type: 'BalanceSampled',
    data: {
      account_id: account, asset: assets[randomInt(assets.length)], exchange_update_time: at, free, locked: '0',
      sample_id: randomUUID(), sampled_at: at, source: 'rest_account', total: free, wallet: 'spot',
    },
  };
}

// run keeps all callers busy for some seconds. Latencies are counted by their microseconds to three digits.
async function run(store, callers, streams, seconds) {
  const result = { events: 0, errors: 0, first_error: '', seconds: 0, cpu_seconds: 0, latency_us: {} };
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;
  const caller = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      const account = accountOf(randomInt(streams));
      try {
        await store.appendToStream(`account-${account}`, [sampled(account)]);
      } catch (error) {
        result.errors++;
        result.first_error ||= error.message;
        continue;
      }
      result.events++;
      const us = Math.round(Number(((performance.now() - began) * 1000).toPrecision(3)));
      result.latency_us[us] = (result.latency_us[us] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  result.seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  result.cpu_seconds = (used.user + used.system) / 1e6;
  return result;
}

const [mode, callers, streams, seconds] = process.argv.slice(2).map((text, i) => (i === 0 ? text : Number(text)));
const connectionString = process.env.PEER_DATABASE_URL;
const pool = new pg.Pool({ connectionString, max: callers });
const store = getPostgreSQLEventStore(connectionString, {
  projections: mode === 'inline' ? projections.inline([balances]) : [],
  connectionOptions: { pool },
});
await store.schema.migrate();
await run(store, callers, streams, warmUpSeconds);
process.stderr.write('ready.\n');
await once(process.stdin, 'data');
process.stdin.destroy();
process.stdout.write(JSON.stringify(await run(store, callers, streams, seconds)) + '\n');
await store.close();
await pool.end();
