#!/usr/bin/env node
import { launch } from "../../shared/bin/launch.mjs";

await launch("control-plane");
