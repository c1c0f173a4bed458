import { OPERATIONS } from "./ask-site-action.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { notFound, readEntity } from "./listing.ts";
import { type ApiRequest, parameter } from "./route.ts";

/** The operation that a path names; below a site `not-found` where it is another site's. */
export async function operationOf(
  { listing }: ApiDependencies,
  request: ApiRequest,
  query: URLSearchParams = request.query,
): Promise<Readonly<Record<string, unknown>>> {
  const id = parameter(request, "operationId");
  const whose = await readEntity(listing, OPERATIONS, id);
  const site = request.parameters["source"];
  if (site !== undefined && whose["configurationManagerSite"] !== site) {
    throw notFound(id, OPERATIONS);
  }
  return query.size === 0 ? whose : await readEntity(listing, OPERATIONS, id, query);
}
