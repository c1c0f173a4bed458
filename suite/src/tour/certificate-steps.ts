import { DEMO } from "../configurations.ts";
import { enrol, newDeviceKey, renew } from "../device/scep-device.ts";
import { askChallenge } from "../set-up.ts";
import { expect, identityIn, required, type Step } from "./story.ts";

const DEVICE_URI = `urn:isthmus:device:${DEMO.deviceId}`;

export const certificateSteps: readonly Step[] = [
  {
    name: "challenge issued",
    async run(story) {
      story.challenge = await askChallenge(story.suite, DEMO.deviceId, DEMO.userPrincipalName);
      expect(story.challenge.split(".").length === 3, "the challenge is no compact JWS");
      return `one-time, for CN=${DEMO.deviceId}`;
    },
  },
  {
    name: "certificate enrolled over SCEP",
    async run(story) {
      const challenge = required(story.challenge, "no challenge: the step before did not run");
      const server = await story.suite.scepServer();
      const privateKey = await newDeviceKey();
      const subject = `CN=${DEMO.deviceId}`;
      story.identity = await enrol(server, { subject, challenge, privateKey });
      const { certificate } = story.identity;
      const hasDeviceId = certificate.subjectAltNames?.some(({ value }) => value === DEVICE_URI);
      expect(hasDeviceId === true, `the certificate does not name ${DEVICE_URI}`);
      return `serial ${certificate.serialNumber}`;
    },
  },
  {
    name: "certificate renewed",
    async run(story) {
      const old = identityIn(story);
      story.identity = await renew(await story.suite.scepServer(), old);
      const { certificate } = story.identity;
      expect(
        certificate.serialNumber !== old.certificate.serialNumber,
        "the serial is the old one",
      );
      expect(
        !certificate.publicKeyInfo.equals(old.certificate.publicKeyInfo),
        "the key is the old one",
      );
      return `with a new key, serial ${certificate.serialNumber}`;
    },
  },
];
