import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PostgresqlPlace } from "@isthmus/shared/store/postgresql/place";
import { Session } from "@isthmus/shared/store/postgresql/session";
import { CA_EXTENSIONS, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";

/** The server refuses to run as root; Debian's package has an account for it. */
const ACCOUNT = "postgres";
const PASSWORD = "correct horse battery staple";
const START_TIMEOUT_MS = 60_000;

/** Settings for tests alone: a server that nobody pulls the plug of need not wait for its disk. */
const QUICK = ["fsync=off", "full_page_writes=off"];

/** A PostgreSQL server of a test's own, with its data in a temporary folder, on a port of loopback. */
export class PostgresqlServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: ReturnType<typeof temporaryFolder>;
  readonly #programs: string;
  readonly #settings: readonly string[];
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(
    folder: ReturnType<typeof temporaryFolder>,
    programs: string,
    port: number,
    settings: readonly string[],
  ) {
    this.#folder = folder;
    this.#programs = programs;
    this.port = port;
    this.#settings = settings;
  }

  /** `postgres` is the path of the server's program; `isDurable` has it sync its commits as in earnest. */
  static async start(postgres: string, { isDurable = false } = {}): Promise<PostgresqlServer> {
    const folder = temporaryFolder();
    // The account has to pass through.
    chmodSync(folder.path, 0o755);
    const data = join(folder.path, "data");
    mkdirSync(data, { mode: 0o700 });
    const passwordFile = join(folder.path, "password");
    writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
    const settings = isDurable ? [] : QUICK;
    const programs = dirname(postgres);
    const server = new PostgresqlServer(folder, programs, await freePort(), settings);
    await server.#makeCertificate();
    server.#give(data, passwordFile, server.#at("server.key"));
    const access = ["--auth=scram-sha-256", `--pwfile=${passwordFile}`, "--username=postgres"];
    server.#run(
      "initdb",
      "--pgdata",
      data,
      "--no-sync",
      "--encoding=UTF8",
      "--locale=C",
      ...access,
    );
    await server.start();
    return server;
  }

  /** Starts it again after `stop`, on the same port. */
  async start(): Promise<void> {
    const data = join(this.#folder.path, "data");
    const settings = [
      "listen_addresses=127.0.0.1",
      `port=${this.port}`,
      "unix_socket_directories=",
      "max_connections=50",
      "ssl=on",
      `ssl_cert_file=${this.#at("server.pem")}`,
      `ssl_key_file=${this.#at("server.key")}`,
      ...this.#settings,
    ];
    const words = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
    const [command, ...rest] = this.#asAccount(join(this.#programs, "postgres"), ...words);
    this.#process = spawn(command ?? "", rest, { stdio: "ignore" });
    const { urlFile } = this.place("admin", "postgres");
    await until(() => this.#answers(urlFile), "a PostgreSQL server", START_TIMEOUT_MS);
  }

  /** `immediate` ends it as a power failure would: clients are cut off, and it recovers at its next start. */
  async stop(mode: "fast" | "immediate" = "fast"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    const ended = once(child, "exit");
    this.#run("pg_ctl", "stop", "-D", join(this.#folder.path, "data"), "-m", mode, "-s");
    await ended;
  }

  /** A place for a replica in a new database of its own. */
  async newPlace(replica = "one"): Promise<PostgresqlPlace> {
    this.#databases += 1;
    const database = `test_${process.pid}_${this.#databases}`;
    await this.sql(`CREATE DATABASE ${database}`);
    return this.place(replica, database);
  }

  /** A place for a replica in a database that is there. */
  place(replica: string, database: string): PostgresqlPlace {
    const urlFile = join(this.#folder.path, `${database}.url`);
    const password = encodeURIComponent(PASSWORD);
    const url = `postgresql://postgres:${password}@127.0.0.1:${this.port}/${database}`;
    writeFileSync(urlFile, url, { mode: 0o600 });
    return { urlFile, replica };
  }

  /** The same by way of another port of loopback. */
  behind(place: PostgresqlPlace, port: number): PostgresqlPlace {
    return this.#changed(place, "behind", (url) => {
      url.port = String(port);
    });
  }

  /** The same with TLS, checked by the authority that made the server's certificate. */
  encrypted(place: PostgresqlPlace): PostgresqlPlace {
    const changed = this.#changed(place, "encrypted", (url) => {
      url.searchParams.set("sslmode", "verify-full");
    });
    return { ...changed, caFile: this.#at("authority.pem") };
  }

  #changed(place: PostgresqlPlace, suffix: string, change: (url: URL) => void): PostgresqlPlace {
    const url = new URL(readFileSync(place.urlFile, "utf8"));
    change(url);
    const urlFile = `${place.urlFile}-${suffix}`;
    writeFileSync(urlFile, url.href, { mode: 0o600 });
    return { ...place, urlFile };
  }

  #at(name: string): string {
    return join(this.#folder.path, name);
  }

  /** Runs a text of SQL as the superuser. */
  async sql(text: string, place = this.place("admin", "postgres")): Promise<void> {
    await using session = await adminSession(place);
    await session.script(text);
  }

  async rows(text: string, place: PostgresqlPlace) {
    await using session = await adminSession(place);
    const outcome = await session.run([{ text, values: [] }]);
    if (!outcome.ok) throw new Error(outcome.failure.message);
    return outcome.results[0]?.rows ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    this.#folder[Symbol.dispose]();
  }

  async #answers(urlFile: string): Promise<boolean> {
    if (this.#process?.exitCode !== null) throw new Error("the PostgreSQL server ended");
    try {
      await using _session = await adminSession({ urlFile, replica: "admin" });
      return true;
    } catch {
      return false;
    }
  }

  async #makeCertificate(): Promise<void> {
    const now = Date.now();
    const valid = { notBefore: now - 60_000, notAfter: now + 86_400_000 };
    const authority = await testCertificate({
      ...valid,
      subject: "CN=database authority",
      extensions: CA_EXTENSIONS,
    });
    const extensions = [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])];
    const leaf = { ...valid, subject: "CN=database", serialNumber: "4002", extensions };
    const { certificate, key } = await testCertificate(leaf, authority);
    writeFileSync(this.#at("authority.pem"), derToPem(authority.certificate.der, "CERTIFICATE"));
    writeFileSync(this.#at("server.pem"), derToPem(certificate.der, "CERTIFICATE"));
    const pem = key.export({ type: "pkcs8", format: "pem" });
    writeFileSync(this.#at("server.key"), pem, { mode: 0o600 });
  }

  #run(program: string, ...words: string[]): void {
    const [command, ...rest] = this.#asAccount(join(this.#programs, program), ...words);
    execFileSync(command ?? "", rest, { stdio: "pipe", cwd: this.#folder.path });
  }

  #asAccount(...words: string[]): string[] {
    return process.getuid?.() === 0 ? ["runuser", "-u", ACCOUNT, "--", ...words] : words;
  }

  #give(...paths: string[]): void {
    if (process.getuid?.() !== 0) return;
    const idOf = (flag: string) =>
      Number(execFileSync("id", [flag, ACCOUNT], { encoding: "utf8" }));
    const [user, group] = [idOf("-u"), idOf("-g")];
    for (const path of paths) chownSync(path, user, group);
  }
}

function adminSession(place: PostgresqlPlace): Promise<Session> {
  return Session.open({ place, isReadOnly: false, statementTimeoutMs: 30_000 });
}
