import { ConnectorError } from "@isthmus/shared/errors";
import { isPermitted } from "../core/roles.ts";
import type { ApiAnswer, ApiRequest, Route } from "./route.ts";

/** Permission first, on what the body says it changes; then the route. Throws `forbidden`, and as the route does. */
export async function performRoute(route: Route, request: ApiRequest): Promise<ApiAnswer> {
  const { permission } = route;
  const needed = typeof permission === "string" ? permission : permission(request.body);
  if (!isPermitted(request.session.roles, needed)) {
    throw new ConnectorError("forbidden", `This needs the permission ${needed}`);
  }
  return await route.handle(request);
}
