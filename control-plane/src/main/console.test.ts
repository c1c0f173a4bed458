import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientFacets, ToldSite } from "../testing/told-site.ts";
import { ConnectorFixture } from "./connector-fixture.ts";
import { ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const FORM = "application/x-www-form-urlencoded";

function submit(path: string, values: Readonly<Record<string, string>>, headers = {}) {
  const body = new URLSearchParams(values).toString();
  return plane.send(path, { method: "POST", body, headers: { "content-type": FORM, ...headers } });
}

async function signedIn(): Promise<{ cookie: string }> {
  const answer = await submit("/sign-in", { userName: "admin", password: plane.firstPassword });
  const [cookie = ""] = answer.headers["set-cookie"] ?? [];
  return { cookie: cookie.split(";", 1)[0] ?? "" };
}

test("a stranger sees the form and nothing else", async () => {
  const { status, body } = await plane.send("/");
  expect(status).toBe(200);
  expect(body).toContain('autocomplete="current-password"');
  expect(body).not.toContain("Connectors");
});

test("signing in sets a cookie that only this site's own pages send, and leads to the page", async () => {
  const answer = await submit("/sign-in", { userName: "admin", password: plane.firstPassword });
  expect([answer.status, answer.headers["location"]]).toEqual([303, "/"]);
  expect(answer.headers["set-cookie"]?.[0]).toMatch(
    /^__Host-isthmus-session=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=28800$/,
  );
  const page = await plane.send("/", { headers: await signedIn() });
  expect(page.body).toContain("No connector has enrolled yet");
});

test("names from outside are shown as text", async () => {
  const admin = await plane.client();
  await using connector = await ConnectorFixture.enrol(plane, admin, "tunnel-gateway");
  await connector.connect();
  connector.health("warning");
  const displayName = "<img src=x onerror=alert(1)>";
  await admin.patch(`/connectors/${connector.id}`, { displayName });
  await admin.post("/managedDevices", { deviceName: displayName }, 201);
  const { body } = await plane.send("/", { headers: await signedIn() });
  expect(body).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect(body).not.toContain("<img");
});

test("a source of inventory stands there with who reads it and its devices", async () => {
  const headers = await signedIn();
  expect((await plane.send("/", { headers })).body).toContain("No bridge has told of a site");
  const admin = await plane.client();
  await using site = await ToldSite.start(plane, admin, "CM7");
  await site.tell("device", { "1": clientFacets("A"), "2": clientFacets("B") });
  const row = async () => {
    const { body } = await plane.send("/", { headers });
    return /<tr><th scope="row"><a href="\/sources\/CM7">CM7.*?<\/tr>/s.exec(body)?.[0] ?? "";
  };
  await until(async () => (await row()).includes("<td>2</td>"), "two devices");
  expect(await row()).toContain("comgmt-bridge");
});

test("the page allows no script, no frame and no other origin", async () => {
  const { headers } = await plane.send("/");
  expect(headers["content-security-policy"]).toMatch(
    /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
  );
  expect(headers["cache-control"]).toBe("no-store");
});

test("an address that is none is answered in a line of text, not with a framework's page", async () => {
  const { status, headers, body } = await plane.send("/nonsense/<b>");
  expect([status, headers["content-type"]]).toEqual([404, "text/plain; charset=utf-8"]);
  expect(body).toBe(
    "there are the status page at /, devices at /devices, sources at /sources and the API below /beta/deviceManagement\n",
  );
  expect(headers["content-security-policy"]).toContain("default-src 'none'");
  const { headers: ofApi } = await plane.send("/beta/nonsense");
  expect(ofApi["content-type"]).toContain("application/json");
});

test.each(["/%zz", "/devices/%E9", "/devices?name=100%", "/sources/CM1/collections/%"])(
  "a broken percent-encoding is a bad address: %s",
  async (path) => {
    const { status, headers, body } = await plane.send(path, { headers: await signedIn() });
    expect([status, headers["content-type"]]).toEqual([400, "text/html; charset=utf-8"]);
    expect(body).toContain("a percent sign itself is %25");
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  },
);

describe("a form over its limit is refused in a page that says the limit", () => {
  test.each([
    ["/sign-in", "password=", 4_096],
    ["/sources/CM1/queries", "query=", 65_536],
    ["/devices/x/actions", "key=", 4_096],
  ])("%s", async (path, field, limit) => {
    const headers = { "content-type": FORM, ...(await signedIn()) };
    const sent = (bytes: number) =>
      plane.send(path, { method: "POST", body: field.padEnd(bytes, "x"), headers });
    const { status, headers: answered, body } = await sent(limit + 1);
    expect([status, answered["content-type"]]).toEqual([413, "text/html; charset=utf-8"]);
    expect(body).toContain(`longer than this page takes, which is ${limit} bytes`);
    expect((await sent(limit)).status).not.toBe(413);
  });

  test("and one in a charset that no browser sends", async () => {
    const headers = { "content-type": `${FORM}; charset=ebcdic`, ...(await signedIn()) };
    const answer = await plane.send("/sign-in", { method: "POST", body: "a=b", headers });
    expect([answer.status, answer.body.includes("Nothing was done")]).toEqual([415, true]);
  });
});

describe("refused", () => {
  test("a wrong password, with a sentence and not a word about the account", async () => {
    const { status, body, headers } = await submit("/sign-in", { userName: "x", password: "y" });
    expect(status).toBe(401);
    expect(body).toContain("User name or password is wrong.");
    expect(headers["set-cookie"]).toBeUndefined();
  });

  test.each([
    ["by its Origin", { origin: "https://evil.example" }],
    ["by Sec-Fetch-Site", { "sec-fetch-site": "cross-site" }],
    ["by Sec-Fetch-Site of a sibling", { "sec-fetch-site": "same-site" }],
  ])("a form of another site, %s", async (_how, headers) => {
    const values = { userName: "admin", password: plane.firstPassword };
    const answer = await submit("/sign-in", values, headers);
    expect(answer.status).toBe(403);
    expect(answer.headers["set-cookie"]).toBeUndefined();
    const cookie = await signedIn();
    expect((await submit("/sign-out", {}, { ...headers, ...cookie })).status).toBe(403);
    expect((await plane.send("/", { headers: cookie })).body).toContain("Sign out");
  });

  test("an empty form, with what to do", async () => {
    const { status, body } = await submit("/sign-in", {});
    expect([status, body.includes("Type a user name and password.")]).toEqual([400, true]);
  });
});

test("signing out ends the session on the server", async () => {
  const headers = await signedIn();
  expect((await submit("/sign-out", {}, headers)).status).toBe(303);
  const { body } = await plane.send("/", { headers });
  expect(body).not.toContain("Sign out");
});

test("the session of the page is none for the API", async () => {
  const headers = await signedIn();
  expect((await plane.send("/beta/deviceManagement/connectors", { headers })).status).toBe(401);
});
