import { connect, type Socket } from "node:net";
import { ConnectorError } from "@isthmus/shared/errors";
