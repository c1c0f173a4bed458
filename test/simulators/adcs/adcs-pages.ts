import type { AdcsFailure, AdcsRequest } from "./adcs-authority.ts";

/**
 * Web enrolment's pages as Windows Server writes them: the same elements and ids, with words of its own, because the words
 * are in the server's language and no client may go by them.
 */
export function pageOf(request: AdcsRequest, mode: "newreq" | "chkpnd"): string {
  switch (request.state) {
    case "issued":
      return page(
        "Zertifikat wurde ausgestellt",
        `<P ID=locInfo>Das Zertifikat ist da.</P>
         <Input Type=Button OnClick='location="certnew.cer?ReqID=${request.id}&amp;Enc=b64";'>
         <A Href="certnew.cer?ReqID=${request.id}&Enc=b64">laden</A>`,
      );
    case "pending":
      return mode === "newreq"
        ? page(
            "Zertifikat steht aus",
            `<P ID=locInfoNewReq> Die Anforderung ist eingegangen. </P>
             <P ID=locInfoReqID>\nDie Kennung der Anforderung ist ${request.id}.\n</P>`,
          )
        : page("Zertifikat steht aus", "<P ID=locInfoChkPnd> Die Anforderung steht noch aus. </P>");
    case "denied":
      return page(
        "Abgelehnt",
        `<P ID=locDenied> Die Anforderung wurde abgelehnt. </P>
         <P ID=locReqID>Kennung: ${request.id}. Meldung: "Abgelehnt durch den Zertifikatverwalter &amp; Co"</P>`,
      );
    case "revoked":
      return page("Gesperrt", "<P ID=locIssRev> Ausgestellt, dann gesperrt. </P>");
  }
}

export function failurePage({ message, code }: AdcsFailure, mode: "newreq" | "chkpnd"): string {
  const failed = mode === "newreq" ? "locReqFailed" : "locChkPndFailed";
  const result = `${message} 0x${code.toString(16)} (WIN32: ${code & 0xffff})`;
  return page(
    "Fehler",
    `<P ID=${failed}> Die Anforderung ist fehlgeschlagen. </P>
     <DL><DT ID=locDispLabel><B>Disposition:</B></DT><DD>1 <LocID ID=locDispSpacer>-</LocID></DD>
     <DT ID=locDispMsgLabel><Font Size=-1><B>Meldung:</B></Font></DT><DD>
       <LocID ID=locDispMsgNone>(keine)</LocID>
     </DD>
     <DT ID=locResultLabel><Font Size=-1><B>Ergebnis:</B></Font></DT><DD>
       ${result}
     </DD></DL>`,
  );
}

/** `certcarc.asp`, where the CA's own certificates are offered. */
export function authorityPage(renewals: number): string {
  return page("CA", `<Script>var nRenewals=${renewals};</Script>`);
}

function page(title: string, body: string): string {
  return `<HTML><Head><Meta HTTP-Equiv="Content-Type" Content="text/html; charset=UTF-8">
<Title>Microsoft Active Directory-Zertifikatdienste</Title></Head>
<Body BgColor=#FFFFFF><Font ID=locPageFont Face="Arial">
<P ID=locPageTitle> <B> ${title} </B>
${body}
</Font></Body></HTML>`;
}
