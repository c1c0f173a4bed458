import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  deviceAuthority,
  serverIdentity,
  startEngine,
  whyNoEngine,
} from "../testing/engine-under-test.ts";
import {
  deviceUri,
  issueTo,
  makeDeviceAuthority,
  makeServerIdentity,
} from "../testing/test-certificates.ts";

const device = await issueTo(deviceAuthority, [deviceUri("d1")]);
const chain = { cert: device.certificate + deviceAuthority.pem, key: device.key };

describe.skipIf(whyNoEngine !== undefined)("the native engine", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "shakes hands by %s without a client certificate",
    async (version) => {
      await using front = await startEngine();
      const { connection } = await front.open({ minVersion: version, maxVersion: version });
      expect(connection).toMatchObject({
        remoteAddress: "127.0.0.1",
        localAddress: "127.0.0.1",
        tlsVersion: version,
        serverName: "localhost",
        certificates: [],
        verification: { isVerified: false, reason: "no certificate" },
      });
      expect(connection.cipher).toMatch(/AES_128_GCM|AES128-GCM/);
    },
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "tells a verified chain by %s, leaf first",
    async (version) => {
      await using front = await startEngine();
      const { connection } = await front.open({
        minVersion: version,
        maxVersion: version,
        ...chain,
      });
      expect(connection.verification).toEqual({ isVerified: true, reason: "ok" });
      const [leaf, issuer] = connection.certificates.map((der) => new X509Certificate(der));
      expect(leaf?.subjectAltName).toContain("d1");
      expect(leaf?.issuer).toBe(issuer?.subject);
    },
  );

  test("lets a certificate of a stranger in and says what is wrong with it", async () => {
    await using front = await startEngine();
    const stranger = await issueTo(await makeDeviceAuthority("Others"), [deviceUri("d1")]);
    const { connection } = await front.open({ cert: stranger.certificate, key: stranger.key });
    expect(connection.certificates).toHaveLength(1);
    expect(connection.verification.isVerified).toBe(false);
    expect(connection.verification.reason).toMatch(/issuer certificate/);
  });

  test("lets an expired certificate in and says so", async () => {
    await using front = await startEngine();
    const old = await issueTo(deviceAuthority, [deviceUri("d1")], {
      notAfter: Date.now() - 60_000,
    });
    const { connection } = await front.open({
      cert: old.certificate + deviceAuthority.pem,
      key: old.key,
    });
    expect(connection.verification).toEqual({
      isVerified: false,
      reason: "certificate has expired",
    });
  });

  test("refuses a chain of more than 32 KiB", async () => {
    await using front = await startEngine();
    const { length } = new X509Certificate(deviceAuthority.pem).raw;
    const more = deviceAuthority.pem.repeat(Math.ceil(32_768 / length));
    // By TLS 1.3 a client learns of it after its own handshake.
    const dialled = front.open({ maxVersion: "TLSv1.2", cert: chain.cert + more, key: chain.key });
    await expect(dialled).rejects.toThrow();
    expect(await until(() => front.record.failures[0])).toEqual({
      remoteAddress: "127.0.0.1",
      reason: "handshake: excessive message size",
    });
  });

  test("refuses TLS 1.1, and suites without forward secrecy", async () => {
    await using front = await startEngine();
    const suite = { maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" } as const;
    await expect(front.open(suite)).rejects.toThrow();
    const failure = await until(() => front.record.failures[0]);
    expect(failure).toEqual({
      remoteAddress: "127.0.0.1",
      reason: "handshake: no shared cipher",
    });
    const old = {
      minVersion: "TLSv1.1",
      maxVersion: "TLSv1.1",
      ciphers: "ALL:@SECLEVEL=0",
    } as const;
    await expect(front.open(old)).rejects.toThrow();
    await until(() => front.record.failures[1]);
    expect(front.record.failures[1]?.reason).toBe("handshake: unsupported protocol");
  });

  test("answers ALPN with http/1.1, and gives no ticket", async () => {
    await using front = await startEngine();
    const { client, connection } = await front.open({ ALPNProtocols: ["acme", "http/1.1"] });
    let tickets = 0;
    client.on("session", () => {
      tickets += 1;
    });
    expect(client.alpnProtocol).toBe("http/1.1");
    client.write("hello");
    await until(() => front.record.textFrom(connection.id) === "hello");
    front.engine.end(connection.id, "clean");
    await once(client.resume(), "close");
    expect(tickets).toBe(0);
  });

  test("carries bytes both ways, and ends with close_notify behind the last", async () => {
    await using front = await startEngine();
    const { client, connection } = await front.open();
    front.record.onBytes = (id, bytes) => front.engine.write(id, bytes);
    const sent = "0123456789abcdef".repeat(4_096);
    client.write(sent);
    let answered = "";
    client.on("data", (bytes) => {
      answered += bytes;
    });
    await until(() => answered.length === sent.length);
    front.engine.write(connection.id, Buffer.from("the end"));
    front.engine.end(connection.id, "clean");
    await once(client, "end");
    expect(answered).toBe(`${sent}the end`);
    expect(front.record.closings.size).toBe(0);
  });

  test("resets what is ended by a reset", async () => {
    await using front = await startEngine();
    const { client, connection } = await front.open();
    front.engine.end(connection.id, "reset");
    const [error] = await once(client.resume(), "error");
    expect(error.code).toBe("ECONNRESET");
  });

  test("tells a client's end, and whether it was said", async () => {
    await using front = await startEngine();
    const said = await front.open();
    said.client.end();
    const unsaid = await front.open();
    unsaid.client.destroy();
    const { closings } = front.record;
    await until(() => closings.size === 2);
    expect(closings.get(said.connection.id)).toEqual({
      reason: "closed by the client",
      isClean: true,
    });
    expect(closings.get(unsaid.connection.id)?.isClean).toBe(false);
  });

  test("closes a connection that sends over 256 KiB without an answer", async () => {
    await using front = await startEngine();
    const { client, connection } = await front.open();
    client.write(Buffer.alloc(256 * 1_024));
    const length = () => Buffer.concat(front.record.received.get(connection.id) ?? []).length;
    await until(() => length() === 256 * 1_024);
    expect(front.record.closings.size).toBe(0);
    client.write("x");
    const closing = await until(() => front.record.closings.get(connection.id));
    expect(closing.reason).toBe("more than 256 KiB without an answer");
  });

  test("closes a connection that does not take what it is sent", async () => {
    await using front = await startEngine();
    const { client, connection } = await front.open();
    client.pause();
    // The kernel's own buffers take some megabytes.
    for (let sent = 0; sent < 64; sent += 1)
      front.engine.write(connection.id, Buffer.alloc(1 << 18));
    const closing = await until(() => front.record.closings.get(connection.id));
    expect(closing.reason).toBe("does not take what it is sent");
  });

  test("puts another identity in force for new handshakes, and refuses a bad one", async () => {
    await using front = await startEngine();
    const before = await front.open();
    const renewed = await makeServerIdentity();
    front.engine.setIdentity({ ...renewed, authorities: [] });
    const after = await front.open({ ca: renewed.certificate });
    const fingerprint = new X509Certificate(renewed.certificate).fingerprint256;
    expect(after.client.getPeerCertificate().fingerprint256).toBe(fingerprint);
    expect(before.client.getPeerCertificate().fingerprint256).not.toBe(fingerprint);
    before.client.write("still here");
    await until(() => front.record.textFrom(before.connection.id) === "still here");

    const { certificate, key } = serverIdentity;
    const bad = { certificate, key: renewed.key, authorities: [] };
    expect(() => front.engine.setIdentity(bad)).toThrow(/key: key values mismatch/);
    expect(() => front.engine.setIdentity({ certificate: "", key, authorities: [] })).toThrow(
      /certificate:/,
    );
    const anchors = ["no certificate"];
    expect(() => front.engine.setIdentity({ certificate, key, authorities: anchors })).toThrow(
      /authorities:/,
    );
  });

  test("holds a thousand connections at once", { timeout: 120_000 }, async () => {
    await using front = await startEngine();
    const opened = await Promise.all(Array.from({ length: 1_000 }, () => front.open()));
    expect(front.engine.counters()).toMatchObject({ frontHandshakes: 1_000, frontAccepted: 1_000 });
    front.record.onBytes = (id, bytes) => front.engine.write(id, bytes);
    const answers = opened.map(async ({ client }, index) => {
      client.write(`message ${index}`);
      const [answer] = await once(client, "data");
      return String(answer);
    });
    expect(await Promise.all(answers)).toEqual(opened.map((_, index) => `message ${index}`));
  });

  test("says what to do about a port that is taken", async () => {
    await using front = await startEngine();
    const { port } = front;
    await front.engine[Symbol.asyncDispose]();
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    await expect(startEngine({ port })).rejects.toMatchObject({
      code: "listen-failed",
      message: `cannot listen on 127.0.0.1 port ${port}: another process listens there; set listen.port to a free one`,
    });
    other.close();
    await using again = await startEngine();
    await again.open();
  });

  test("listens on both families where the address is ::", async () => {
    await using front = await startEngine({ address: "::" });
    const { connection } = await front.open();
    expect(connection.remoteAddress).toBe("127.0.0.1");
    expect(connection.localAddress).toBe("127.0.0.1");
    const ipv6 = await front.open({ host: "::1" });
    expect(ipv6.connection.remoteAddress).toBe("::1");
  });
});
