import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const query = (options: Readonly<Record<string, string>>) =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");

describe("sessions", () => {
  test("a wrong password, an unknown name and a long password are one refusal", async () => {
    const answers = await Promise.all(
      [
        { userName: "admin", password: "wrong" },
        { userName: "nobody", password: "wrong" },
        { userName: "admin", password: "x".repeat(1_000) },
      ].map((body) => plane.send("/api/session", { method: "POST", body })),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.body.error).toMatchObject({
        code: "InvalidAuthenticationToken",
        message: "User name or password is wrong",
        innerError: { code: "login-refused", "request-id": answer.headers["request-id"] },
      });
    }
  });

  test("a session says whose it is, and is over once closed", async () => {
    const { token } = await plane.client("Reader");
    const headers = { authorization: `Bearer ${token}` };
    const { body } = await plane.send("/api/session", { headers });
    expect(body).toMatchObject({ roles: ["Reader"] });
    expect((await plane.send("/api/session", { method: "DELETE", headers })).status).toBe(204);
    expect((await plane.send("/api/session", { headers })).status).toBe(401);
  });

  test.each([
    ["no token", {}],
    ["a token of another shape", { authorization: "Bearer abc" }],
    ["a token nobody was given", { authorization: `Bearer ${"A".repeat(43)}` }],
    ["a password as token", { authorization: "Basic YWRtaW46YWRtaW4=" }],
  ])("%s opens nothing", async (_what, headers) => {
    const answer = await plane.send("/beta/deviceManagement/connectors", { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
  });

  test("whoever is disabled or gets another password is signed out at once", async () => {
    for (const change of [{ isDisabled: true }, { password: "another long password" }]) {
      const userName = `temp-${Object.keys(change)[0]}`;
      const password = "a first long password";
      const { id } = await admin.post(
        "/administrators",
        { userName, password, roles: ["Reader"] },
        201,
      );
      const { body } = await plane.send("/api/session", {
        method: "POST",
        body: { userName, password },
      });
      const headers = { authorization: `Bearer ${body.token}` };
      expect((await plane.send("/api/session", { headers })).status).toBe(200);
      await admin.patch(`/administrators/${id}`, change);
      expect((await plane.send("/api/session", { headers })).status).toBe(401);
    }
  });

  test("the last one who may manage accounts cannot be disabled or demoted", async () => {
    const { value } = await admin.get(
      `/administrators?${query({ $filter: "userName eq 'admin'" })}`,
    );
    for (const change of [{ isDisabled: true }, { roles: ["Reader"] }]) {
      const { error } = await admin.patch(`/administrators/${value[0].id}`, change, 409);
      expect(error.innerError.code).toBe("last-administrator");
    }
  });
});

describe("lists", () => {
  beforeAll(async () => {
    for (let n = 0; n < 7; n++) {
      const complianceState = n < 3 ? "compliant" : "noncompliant";
      const body = { id: `list-${n}`, deviceName: `List ${n}`, complianceState };
      await admin.post("/managedDevices", body, 201);
    }
  });
  const mine = "startswith(id,'list-')";

  test("a page has its context, count and the link to the next, which leads to the end", async () => {
    const options = { $filter: mine, $top: "3", $count: "true", $orderby: "deviceName desc" };
    const first = await admin.get(`/managedDevices?${query(options)}`);
    expect(first["@odata.context"]).toBe(
      `${plane.url}/beta/$metadata#deviceManagement/managedDevices`,
    );
    expect(first["@odata.count"]).toBe(7);
    const names = first.value.map((device: { deviceName: string }) => device.deviceName);
    let next: string | undefined = first["@odata.nextLink"];
    while (next !== undefined) {
      const page = await admin.get(next.slice(`${plane.url}/beta/deviceManagement`.length));
      names.push(...page.value.map((device: { deviceName: string }) => device.deviceName));
      next = page["@odata.nextLink"];
    }
    expect(names).toEqual([6, 5, 4, 3, 2, 1, 0].map((n) => `List ${n}`));
  });

  test("$select answers the id and what was named", async () => {
    const options = { $filter: "id eq 'list-1'", $select: "deviceName" };
    const { value } = await admin.get(`/managedDevices?${query(options)}`);
    expect(value).toEqual([{ id: "list-1", deviceName: "List 1" }]);
  });

  test.each([
    ["complianceState eq 'compliant'", 3],
    ["not (complianceState eq 'compliant')", 4],
    ["enrolledDateTime gt 2020-01-01T00:00:00Z and contains(deviceName,'ist 6')", 1],
    ["enrolledDateTime lt 2020-01-01T00:00:00Z", 0],
    ["userPrincipalName eq null", 7],
  ])("$filter=%s", async (filter, expected) => {
    const options = { $filter: `${mine} and ${filter}`, $count: "true" };
    const page = await admin.get(`/managedDevices?${query(options)}`);
    expect(page["@odata.count"]).toBe(expected);
  });

  test.each([
    [{ $filter: "nothing eq 1" }, "odata-unknown-property"],
    [{ $filter: "constructor eq 'x'" }, "odata-unknown-property"],
    [{ $filter: "deviceName eq 1" }, "odata-property-type"],
    [{ $filter: "groups eq 'x'" }, "odata-property-type"],
    [{ $filter: "enrolledDateTime gt 'yesterday'" }, "odata-property-type"],
    [{ $filter: "deviceName gt null" }, "odata-property-type"],
    [{ $filter: "startswith(enrolledDateTime,'x')" }, "odata-property-type"],
    [{ $filter: "deviceName eq" }, "odata-syntax"],
    [{ $orderby: "groups" }, "odata-property-type"],
    [{ $select: "password" }, "odata-unknown-property"],
    [{ $skiptoken: "made.up" }, "odata-skip-token"],
    [{ $skip: "1" }, "odata-unknown-option"],
  ])("%j is refused as %s", async (options, code) => {
    const { error } = await admin.get(`/managedDevices?${query(options)}`, 400);
    const [target] = Object.keys(options);
    expect(error).toMatchObject({ code: "BadRequest", target, innerError: { code } });
  });

  test.each([
    [
      "deviceName eq 'a' and nothing eq 1",
      "no property nothing (at character 23 of $filter): allowed are id, deviceName, ",
    ],
    [
      "deviceName eq 1",
      "Property deviceName (at character 1 of $filter) is compared with a string in single quotation marks",
    ],
    [
      "isOnline eq true and groups eq 'x'",
      "Property groups (at character 22 of $filter) is not a single value",
    ],
    [
      "isOnline gt true",
      "(at character 1 of $filter) is not a value that has an order: eq and ne alone fit",
    ],
  ])(
    "what is wrong with $filter=%s is said with its place and what is allowed there",
    async (filter, words) => {
      const { error } = await admin.get(`/managedDevices?${query({ $filter: filter })}`, 400);
      expect(error.message).toContain(words);
      expect(error.message).not.toMatch(/allowed are .*groups/);
    },
  );

  test("a token continues only the query it came with", async () => {
    const page = await admin.get(`/managedDevices?${query({ $top: "1", $filter: mine })}`);
    const token = new URL(page["@odata.nextLink"]).searchParams.get("$skiptoken") ?? "";
    const { error } = await admin.get(`/managedDevices?${query({ $skiptoken: token })}`, 400);
    expect(error.innerError.code).toBe("odata-skip-token");
  });
});

describe("devices", () => {
  test("are made, changed and removed, and every step is audited with its actor", async () => {
    const made = await admin.post("/managedDevices", { id: "d1", groups: ["g"] }, 201);
    expect(made).toMatchObject({ id: "d1", groups: ["g"], complianceState: "unknown" });
    await admin.post("/managedDevices", { id: "d1" }, 409);
    const body = { complianceState: "noncompliant", complianceReason: "no encryption" };
    expect(await admin.patch("/managedDevices/d1", body)).toMatchObject({ ...body, groups: ["g"] });
    expect((await admin.answer("DELETE", "/managedDevices/d1")).status).toBe(204);
    await admin.get("/managedDevices/d1", 404);
    await admin.patch("/managedDevices/d1", body, 404);
    const options = {
      $filter: "startswith(activity,'device.')",
      $orderby: "index desc",
      $top: "3",
    };
    const { value } = await admin.get(`/auditEvents?${query(options)}`);
    expect(value).toMatchObject([
      {
        activity: "device.removed",
        actor: "admin",
        source: "control-plane",
        details: { id: "d1" },
      },
      { activity: "device.changed", actor: "admin", details: { compliance: "noncompliant" } },
      { activity: "device.created", actor: "admin" },
    ]);
    expect(value[0].previousHash).toBe(value[1].hash);
  });

  test.each([
    ["another word for a state", { complianceState: "fine" }],
    ["an unknown property", { colour: "red" }],
    ["too many groups", { groups: Array(101).fill("g") }],
    ["a list", []],
  ])("%s is refused", async (_what, body) => {
    await admin.post("/managedDevices", body, 400);
  });

  test("every fault of a body stands in one message", async () => {
    const { error } = await admin.post("/managedDevices", { colour: 1, groups: 2, id: "" }, 400);
    expect(error.message).toMatch(/colour/);
    expect(error.message).toMatch(/groups/);
    expect(error.message).toMatch(/id/);
    const isAt = (target: string) => expect.objectContaining({ code: "BadRequest", target });
    expect(error).toMatchObject({ target: "groups", innerError: { code: "body-invalid" } });
    expect(error.details).toEqual(expect.arrayContaining(["groups", "id", "colour"].map(isAt)));
  });

  test("a fault says where it is, what may stand there and what was probably meant", async () => {
    const body = { id: "d9", complianceState: "complaint" };
    const { error } = await admin.post("/managedDevices", body, 400);
    expect(error).toMatchObject({ code: "BadRequest", target: "complianceState" });
    expect(error.message).toBe(
      'complianceState: expected one of compliant, noncompliant, unknown, got "complaint" (did you mean compliant?)',
    );
    expect(error.details).toBeUndefined();
    const answer = await plane.send("/beta/deviceManagement/managedDevices", {
      method: "POST",
      body: '{"id": "d9",\n "groups" 1}',
      headers: { authorization: `Bearer ${admin.token}` },
    });
    expect(answer.body.error.message).toMatch(/^body: is no valid JSON at line 2, column \d+$/);
  });
});

describe("tunnel objects have Graph's properties and relations", () => {
  test("from configuration over site to removal", async () => {
    const configuration = await admin.post(
      "/microsoftTunnelConfigurations",
      {
        displayName: "Main",
        network: "10.8.0.0/16",
        dnsServers: ["10.0.0.53"],
        splitDNS: ["corp"],
      },
      201,
    );
    expect(configuration).toMatchObject({
      listenPort: 443,
      disableUdpConnections: false,
      dnsServers: ["10.0.0.53"],
    });
    const site = await admin.post(
      "/microsoftTunnelSites",
      {
        displayName: "Berlin",
        publicAddress: "vpn.example.com",
        microsoftTunnelConfigurationId: configuration.id,
      },
      201,
    );
    expect(
      await admin.get(`/microsoftTunnelSites/${site.id}/microsoftTunnelConfiguration`),
    ).toMatchObject({ id: configuration.id });
    const changed = await admin.patch(`/microsoftTunnelSites/${site.id}`, {
      description: "two floors",
    });
    expect(changed).toMatchObject({ displayName: "Berlin", description: "two floors" });
    const used = `/microsoftTunnelConfigurations/${configuration.id}`;
    expect((await admin.answer("DELETE", used)).status).toBe(409);
    expect((await admin.answer("DELETE", `/microsoftTunnelSites/${site.id}`)).status).toBe(204);
    expect((await admin.answer("DELETE", used)).status).toBe(204);
  });

  test("a site cannot name a configuration that is not there", async () => {
    const body = { displayName: "x", publicAddress: "x", microsoftTunnelConfigurationId: "none" };
    const { error } = await admin.post("/microsoftTunnelSites", body, 404);
    expect(error.innerError.code).toBe("tunnel-configuration-unknown");
  });
});

describe("what is no proper request", () => {
  const bearer = () => ({ authorization: `Bearer ${admin.token}` });
  const devices = "/beta/deviceManagement/managedDevices";

  test.each([
    ["JSON that is none", { method: "POST", body: "{" }, 400],
    ["a body that is a number", { method: "POST", body: "5" }, 400],
    [
      "another content type",
      { method: "POST", body: "id=1", headers: { "content-type": "text/plain" } },
      415,
    ],
    [
      "a body that is too large",
      { method: "POST", body: JSON.stringify({ id: "x".repeat(600_000) }) },
      413,
    ],
  ])("%s", async (_what, call, status) => {
    const headers = { ...bearer(), ...("headers" in call ? call.headers : {}) };
    const answer = await plane.send(devices, {
      ...call,
      headers: headers as Record<string, string>,
    });
    expect(answer.status).toBe(status);
    expect(answer.body.error.innerError.date).toBeDefined();
  });

  test.each(["/beta/deviceManagement/nothing", "/beta/other", "/api/other"])(
    "%s is not there",
    async (path) => {
      const answer = await plane.send(path, { headers: bearer() });
      expect(answer.status).toBe(404);
      expect(answer.body.error.code).toBe("ResourceNotFound");
    },
  );

  test.each([
    "/beta/deviceManagement/managedDevices/%zz",
    "/beta/deviceManagement/managedDevices?$filter=100%&$top=1",
    "/beta/deviceManagement/managedDevices?$search=%C3",
    "/beta/%",
    "/api/session?a=%f",
  ])("%s has a broken percent-encoding, and is told where", async (path) => {
    const answer = await plane.send(path, { headers: bearer() });
    expect(answer.status).toBe(400);
    expect(answer.body.error.innerError.code).toBe("address-encoding");
    expect(answer.body.error.message).toContain(`at character ${path.lastIndexOf("%") + 1},`);
  });

  test.each([
    "connectors/none/commands",
    "microsoftTunnelSites/none/microsoftTunnelServers",
    "managedDevices/none/issuedCertificates",
    "configurationManagerSites/none/clientOperations",
    "configurationManagerSites/none/queries",
    "configurationManagerSites/none/events",
    "configurationManagerCollections/none/members",
    "configurationManagerGroups/none/members",
    "configurationManagerApplications/none/deployments",
    "configurationManagerApplications/none",
    "configurationManagerScripts/none",
    "managedDevices/none/configurationManagerCollections",
    "managedDevices/none/clientOperations",
    "managedDevices/none/timeline",
    "managedDevices/none/softwareUpdateStates",
  ])("below what is not there nothing is listed: %s", async (path) => {
    const answer = await plane.send(`/beta/deviceManagement/${path}`, { headers: bearer() });
    expect(answer.status).toBe(404);
    expect(answer.body.error.message).toContain("none");
  });

  test("what is not there is named with its method and whole path", async () => {
    const path = "/beta/deviceManagement/connectors";
    const answer = await plane.send(path, { method: "DELETE", headers: bearer() });
    expect(answer.status).toBe(404);
    expect(answer.body.error.message).toBe(`There is no operation DELETE ${path}`);
  });
});

test("no secret reaches the store or the audit", async () => {
  const { token } = await admin.post("/enrolmentTokens", { service: "cert-connector" }, 201);
  const payload = JSON.parse(Buffer.from(token.slice("isthmus1.".length), "base64url").toString());
  const { value } = await admin.get("/auditEvents?$top=1000");
  const bytes = readdirSync(plane.folder)
    .filter((name) => name.startsWith("store.db") && !name.endsWith("-shm"))
    .map((name) => readFileSync(join(plane.folder, name), "latin1"))
    .join("");
  for (const secret of [payload.secret, plane.firstPassword, admin.token, "a password for tests"]) {
    expect(JSON.stringify(value)).not.toContain(secret);
    expect(bytes).not.toContain(secret);
  }
  expect(bytes).toContain("enrolment-token.created");
});
