// Writes src/schema.ts, the types of the HTTP API, from infra/openapi.yaml.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';
import { parse } from 'yaml';

const here = (path) => new URL(path, import.meta.url);
const document = parse(await readFile(here('../../infra/openapi.yaml'), 'utf8'));

// The client makes the key itself where a caller gives none.
for (const methods of Object.values(document.paths)) {
  for (const operation of Object.values(methods)) {
    for (const parameter of operation.parameters ?? []) {
      if (parameter.in === 'header' && parameter.name === 'Idempotency-Key') {
        parameter.required = false;
      }
    }
  }
}

await writeFile(here('src/schema.ts'), astToString(await openapiTS(document)));
