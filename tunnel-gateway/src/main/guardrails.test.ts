import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { ConfigurationError } from "@isthmus/shared/errors";
import { loadGuardrails } from "@isthmus/shared/kernel/guardrails-file";
import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { type Guardrails, guardrails } from "../config/guardrails.ts";
import { localConfiguration } from "../config/local-configuration.ts";
import { FakeEngine } from "../testing/fake-engine.ts";
import {
  connectThrough,
  echo,
  type GatewayUnderTest,
  listOf,
  openPort,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import {
  deviceUri,
  issueTo,
  makeDeviceAuthority,
  makeServerIdentity,
  writeIdentity,
} from "../testing/test-certificates.ts";
import { deviceGroup } from "../testing/vpn-under-test.ts";
import { offlineChecks } from "./offline-checks.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);

describe("destinations in the guardrails bound every policy", () => {
  test("one that opens more is refused and the former stays in force", async () => {
    await using target = await startTarget(echo);
    const { port } = target;
    const destinations = [{ name: "target.test", ports: [port] }];
    await using gateway = await startGateway({ authority, guardrails: { destinations } });
    const open = (name: string) => ({
      policies: [
        { name: "p", groups: ["*"], rules: [{ name, action: "allow" as const, destinations }] },
      ],
      devices: listOf("d1"),
    });
    await gateway.configure(open("former"));
    const wide = { policies: openPort(port), devices: listOf("d1") };
    expect(await rejectedCode(() => gateway.configure(wide))).toBe("guardrail-exceeded");
    const { status } = await connectThrough(gateway, `target.test:${port}`, { identity });
    expect(status).toBe(200);
  });

  test("a name that resolves out of them is refused at connect", async () => {
    await using target = await startTarget(echo);
    const { port } = target;
    const bound = [{ cidr: "10.0.0.0/8", ports: [port] }];
    await using gateway = await startGateway({ authority, guardrails: { destinations: bound } });
    const destinations = [{ name: "target.test", ports: [port] }];
    const rules = [{ name: "open", action: "allow" as const, destinations }];
    await gateway.configure({
      policies: [{ name: "p", groups: ["*"], rules }],
      devices: listOf("d1"),
    });
    const answer = await connectThrough(gateway, `target.test:${port}`, { identity });
    expect(answer.body).toMatchObject({
      code: "guardrail-destination",
      rule: "guardrails/destinations",
    });
  });
});

describe("who gets a VPN session is bounded by the host", () => {
  const loose = { groups: [deviceGroup({ requireDevice: false })] };
  const usual = { groups: [deviceGroup()] };
  const weak = { ...usual, bans: { failurePoints: 1, banAtPoints: 100_000 } };
  const enough = { authenticationWithoutDevice: [["certificate"]] };
  const start = (local: object = {}, vpn?: Guardrails["vpn"]) =>
    startGateway({
      authority,
      local: { vpn: { network: "10.98.0.0/24" }, ...local },
      engine: new FakeEngine(),
      ...(vpn ? { guardrails: { vpn } } : {}),
    });
  const groupsOf = async ({ gateway }: GatewayUnderTest) => {
    const answer = await gateway.controls["vpn-groups"]?.({});
    return (answer as { readonly groups: readonly unknown[] }).groups;
  };

  test.each([
    ["a group that asks for no device", loose, "authenticationWithoutDevice"],
    ["bans that never come", weak, "bans.maximumFailures"],
  ])(
    "a cloud's configuration with %s is refused without any guardrail, and the former stays in force",
    async (_what, vpn, key) => {
      await using gateway = await start();
      await gateway.configure({ vpn: usual });
      const former = await groupsOf(gateway);
      expect(former).toHaveLength(1);
      const attempt = gateway.configure({ vpn });
      await expect(attempt).rejects.toMatchObject({
        code: "guardrail-exceeded",
        rule: `guardrails.tunnel-gateway.vpn.${key}`,
      });
      expect(await groupsOf(gateway)).toEqual(former);
    },
  );

  test("the host's guardrails may say by what a user gets in without a device, and the bans stay bounded", async () => {
    await using gateway = await start({}, enough);
    await gateway.configure({ vpn: loose });
    expect(await groupsOf(gateway)).toHaveLength(1);
    const both = { ...loose, bans: weak.bans };
    expect(await rejectedCode(() => gateway.configure({ vpn: both }))).toBe("guardrail-exceeded");
  });

  test("the host's own file is bounded where the guardrails say so, and not otherwise", async () => {
    const standalone = { desiredConfigurationFile: "desired.json" };
    const files = { "desired.json": "{}" };
    const own = { vpn: { ...loose, bans: weak.bans }, devices: listOf("d1") };
    const local = { standalone, vpn: { network: "10.98.0.0/24" } };
    const all = { authority, files, local, engine: new FakeEngine() };
    await using gateway = await startGateway(all);
    await gateway.configure(own);
    await using bounded = await startGateway({
      ...all,
      engine: new FakeEngine(),
      guardrails: { vpn: { authenticationWithoutDevice: [] } },
    });
    expect(await rejectedCode(() => bounded.configure(own))).toBe("guardrail-exceeded");
  });
});

describe("configuration", () => {
  test("every fault of the desired configuration is named", () => {
    const result = desiredConfiguration.safeParse({
      policies: [
        {
          name: "p",
          groups: [],
          rules: [{ name: "r", action: "permit", destinations: [{ ports: [] }] }],
        },
      ],
      allowedInternal: ["127.0.0.0/8"],
      devices: { source: "anywhere", maximumAgeMinutes: 0 },
      revocation: { softAgeMinutes: 100, hardAgeMinutes: 50 },
    });
    const faults = result.error?.issues.map(({ path, code }) => `${path.join(".")} ${code}`);
    expect(faults).toEqual(
      expect.arrayContaining([
        "policies.0.groups too_small",
        "policies.0.rules.0.action invalid_value",
        "policies.0.rules.0.destinations.0.ports too_small",
        "devices.source invalid_value",
        "devices.maximumAgeMinutes too_small",
        " unrecognized_keys",
      ]),
    );
  });

  test("a destination is a name or a network, not both and not neither", () => {
    const withDestination = (destination: object) =>
      desiredConfiguration.safeParse({
        policies: [
          {
            name: "p",
            groups: ["*"],
            rules: [{ name: "r", action: "allow", destinations: [destination] }],
          },
        ],
      }).success;
    expect(withDestination({ name: "h", ports: [1] })).toBe(true);
    expect(withDestination({ cidr: "10.0.0.0/8", ports: ["1-2"] })).toBe(true);
    expect(withDestination({ name: "h", cidr: "10.0.0.0/8", ports: [1] })).toBe(false);
    expect(withDestination({ ports: [1] })).toBe(false);
  });

  test("all local faults are in one message", async () => {
    using folder = temporaryFolder();
    const file = `${folder.path}/gateway.json`;
    const written = {
      stateFolder: "state",
      listen: { port: 70_000 },
      tls: { certificateFile: "missing.pem" },
      trustAnchors: { Devices: { file: "anchors.pem", mayAssert: [], crl: {} } },
      resolver: { hosts: { h: "localhost" } },
      unknown: 1,
    };
    writeFileSync(file, JSON.stringify(written));
    const attempt = () => loadLocalConfiguration({ localConfiguration }, file);
    expect(attempt).toThrow(ConfigurationError);
    expect(attempt).toThrow(
      /listen\.port[\s\S]*tls[\s\S]*trustAnchors[\s\S]*resolver[\s\S]*unknown/,
    );
  });

  test("the guardrails file takes the gateway's own section", () => {
    using folder = temporaryFolder();
    const file = `${folder.path}/guardrails.json`;
    const section = { destinations: [{ cidr: "10.0.0.0/8", ports: [443] }] };
    const commands = {
      allow: ["devices.update"],
      limits: { "session-cuts": { max: 5, perMinutes: 60 } },
    };
    writeFileSync(file, JSON.stringify({ commands, "tunnel-gateway": section }));
    expect(loadGuardrails("tunnel-gateway", guardrails, file).rules).toEqual(section);
  });
});

describe("what a gateway cannot start with is named", () => {
  const codeWith = (options: Parameters<typeof startGateway>[0]) =>
    rejectedCode(async () => {
      await using _gateway = await startGateway(options);
    });

  test("a taken port", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const local = { listen: { address: "127.0.0.1", port } };
    const attempt = startGateway({ authority, local });
    await expect(attempt).rejects.toThrow(
      new RegExp(`127\\.0\\.0\\.1 port ${port}: another process`),
    );
    server.close();
  });

  test("trust anchors without their root, or with a certificate that is no CA", async () => {
    const [issuing = ""] = authority.pem.split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(await codeWith({ authority: { ...authority, pem: issuing } })).toBe(
      "configuration-invalid",
    );
    const pem = authority.pem + identity.certificate;
    await expect(startGateway({ authority: { ...authority, pem } })).rejects.toThrow(/is no CA/);
  });

  test("exceptions that are no networks", async () => {
    const local = { allowedInternal: ["localhost"], controlNetwork: ["10.0.0.1/8"] };
    const attempt = startGateway({ authority, local });
    await expect(attempt).rejects.toThrow(/allowedInternal\.0[\s\S]*controlNetwork\.0/);
  });
});

test("check finds what is wrong before a start", async () => {
  using folder = temporaryFolder();
  const server = await makeServerIdentity();
  writeFileSync(`${folder.path}/anchors.pem`, authority.pem);
  const file = `${folder.path}/gateway.json`;
  const written = {
    stateFolder: "state",
    listen: { address: "127.0.0.1", port: 0 },
    tls: writeIdentity(folder.path, "server", server),
    trustAnchors: { devices: { file: "anchors.pem", crl: { file: "missing.crl" } } },
  };
  writeFileSync(file, JSON.stringify(written));
  const checks = offlineChecks(loadLocalConfiguration({ localConfiguration }, file));
  const results = await Promise.all(
    checks.map(async ({ name, run }) => [name, (await run()).status] as const),
  );
  expect(Object.fromEntries(results)).toEqual({
    "tls-certificate": "healthy",
    "trust-anchors": "healthy",
    port: "healthy",
    revocation: "unhealthy",
  });
});
