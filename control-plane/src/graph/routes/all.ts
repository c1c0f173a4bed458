import type { ApiDependencies } from "../dependencies.ts";
import type { Route } from "../route.ts";
import { administratorRoutes } from "./administrators.ts";
import { certificateDeliveryRoutes } from "./certificate-deliveries.ts";
import { certificateRoutes } from "./certificates.ts";
import { clientOperationRoutes } from "./client-operations.ts";
import { commandRoutes } from "./commands.ts";
import { connectorRoutes } from "./connectors.ts";
import { deviceEntityRoute, deviceInventoryRoutes } from "./device-inventory.ts";
import { deviceTimelineRoutes } from "./device-timeline.ts";
import { deviceRoutes } from "./devices.ts";
import { exportRoutes } from "./exports.ts";
import { queryRowRoutes } from "./query-rows.ts";
import { readingRoutes } from "./reading.ts";
import { recoveryKeyRoutes } from "./recovery-keys.ts";
import { siteActionRoutes } from "./site-actions.ts";
import { tunnelRoutes } from "./tunnel.ts";
import { tunnelHealthRoutes } from "./tunnel-health.ts";
import { userPfxRoutes } from "./user-pfx-certificates.ts";

/** Every operation below `/beta/deviceManagement`. */
export function allRoutes(api: ApiDependencies): Route[] {
  return [
    ...exportRoutes(api),
    deviceEntityRoute(api),
    ...readingRoutes(api),
    ...connectorRoutes(api),
    ...deviceRoutes(api),
    ...deviceInventoryRoutes(api),
    ...deviceTimelineRoutes(api),
    ...tunnelRoutes(api),
    ...tunnelHealthRoutes(api),
    ...certificateRoutes(api),
    ...certificateDeliveryRoutes(api),
    ...userPfxRoutes(api),
    ...siteActionRoutes(api),
    ...clientOperationRoutes(api),
    ...queryRowRoutes(api),
    ...recoveryKeyRoutes(api),
    ...commandRoutes(api),
    ...administratorRoutes(api),
  ];
}
