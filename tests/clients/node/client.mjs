// Log in with each login of a JSON list on standard input, by its URL and by its parts; write the results as JSON.
import { readFileSync } from "node:fs";
import pg from "pg";

const byUrl = ({ url }) => ({ connectionString: url });
const byParts = ({ host, port, dbname, username, password }) => ({
  host,
  port: Number(port),
  database: dbname,
  user: username,
  password,
  ssl: true,
});

async function attempt(settings) {
  const client = new pg.Client(settings);
  try {
    await client.connect();
    const { rows } = await client.query("SELECT session_user AS who, current_database() AS database");
    return rows[0];
  } catch (error) {
    return { error: `${error.code}: ${error.message}` };
  } finally {
    await client.end().catch(() => {});
  }
}

const logins = JSON.parse(readFileSync(0, "utf8"));
const results = { pg: [], "pg from parts": [] };
for (const login of logins) {
  results.pg.push(await attempt(byUrl(login)));
  results["pg from parts"].push(await attempt(byParts(login)));
}
process.stdout.write(JSON.stringify(results));
