// What a backend engineer would write by hand in place of the service: Fastify and pg, a worker a core. Prints where it
// listens once all of them do. DATABASE_URL and ACCESS_KEY (base64) say the rest.
import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';

import pg from 'pg';

import { app } from './app.js';

/** Connections to the database, of all workers together: as many as the service has. */
const CONNECTIONS = 20;
const WORKERS = availableParallelism();

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_, { address, port }) => {
    listening += 1;
    if (listening === WORKERS) console.log(`${address}:${port}`);
  });
  // One that ends is started anew nowhere: a run that loses a worker is not to be trusted.
  cluster.on('exit', () => process.exit(1));
  for (let n = 0; n < WORKERS; n += 1) cluster.fork();
} else {
  const pool = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    max: Math.max(1, Math.floor(CONNECTIONS / WORKERS)),
    idleTimeoutMillis: 0,
    statement_timeout: 5_000,
  });
  const { rows } = await pool.query('SELECT id FROM resources');
  const server = app({ pool, resource: rows[0].id, key: Buffer.from(process.env.ACCESS_KEY, 'base64') });
  // The primary gives all workers the same port for 0.
  await server.listen({ host: '127.0.0.1', port: 0 });
}
