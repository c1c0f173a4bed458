import { z } from "zod";
import { checkPasswordLength, MAX_PASSWORD_CHARACTERS } from "../../core/password.ts";
import { ROLES } from "../../core/roles.ts";
import { given, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

const userName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/, "letters, digits and . _ @ - only, 1 to 128");
const password = z.string().max(MAX_PASSWORD_CHARACTERS);
const roles = z.array(z.enum(ROLES)).min(1).max(ROLES.length);

const newAdministrator = z.strictObject({ userName, password, roles });
const administratorChange = z.strictObject({
  roles: roles.optional(),
  isDisabled: z.boolean().optional(),
  password: password.optional(),
});

/** Local administrator accounts. */
export function administratorRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/administrators",
      permission: "accounts.manage",
      handle: (request) => create(api, request),
    },
    {
      method: "patch",
      path: "/administrators/:id",
      permission: "accounts.manage",
      handle: (request) => change(api, request),
    },
  ];
}

async function create(api: ApiDependencies, request: ApiRequest) {
  const wanted = parseBody(newAdministrator, request.body);
  const passwordHash = await hashOf(api, wanted.password);
  const id = api.random.bytes(16).toString("hex");
  await api.records.run("createAdministrator", {
    ...request.act,
    id,
    userName: wanted.userName,
    roles: wanted.roles,
    passwordHash,
  });
  return { status: 201, body: await readEntity(api.listing, "administrators", id) };
}

async function change(api: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  const { password: wanted, ...rest } = parseBody(administratorChange, request.body);
  const passwordHash = wanted === undefined ? undefined : await hashOf(api, wanted);
  await api.records.run("changeAdministrator", {
    ...given({ ...rest, passwordHash }),
    ...request.act,
    id,
  });
  return { status: 200, body: await readEntity(api.listing, "administrators", id) };
}

function hashOf(api: ApiDependencies, text: string): Promise<string> {
  checkPasswordLength(text);
  return api.passwords.hash(text);
}
