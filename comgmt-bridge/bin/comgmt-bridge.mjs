#!/usr/bin/env node
import { launch } from "../../shared/bin/launch.mjs";

await launch("comgmt-bridge");
