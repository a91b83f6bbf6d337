// A new key pair and a token signed with it, for algorithms the local issuer does not use.
// Usage: node sign.mjs <RS256|EdDSA|HS256> <kid> <claims as JSON> [shared secret]
// Prints {"jwk": the public key, "token": the token}.
import { createHmac, generateKeyPairSync, sign } from "node:crypto";

const [algorithm, kid, claims, secret] = process.argv.slice(2);
const part = (value) => Buffer.from(value).toString("base64url");
const signed = `${part(JSON.stringify({ alg: algorithm, kid, typ: "JWT" }))}.${part(claims)}`;

const signers = {
  RS256: () => pair(generateKeyPairSync("rsa", { modulusLength: 2048 }), "sha256"),
  EdDSA: () => pair(generateKeyPairSync("ed25519"), null),
  HS256: () => ({ signature: createHmac("sha256", secret).update(signed).digest() }),
};

function pair({ publicKey, privateKey }, hash) {
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" };
  return { jwk, signature: sign(hash, Buffer.from(signed), privateKey) };
}

const { jwk, signature } = signers[algorithm]();
console.log(JSON.stringify({ jwk, token: `${signed}.${part(signature)}` }));
