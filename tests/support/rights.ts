// Who asks: users, keys and sessions of every kind, for tests of rights.
import { Conductor, Json } from './orrery';

export interface Route {
    path: string; // "/api/app/get_event/v1"
    name: string;
    method: 'GET' | 'POST';
    rule: string; // "public", "token", "any" or a privilege
    limit: string;
    user: boolean; // of the account space: sessions only, errors with HTTP 200
    example?: Json;
    files: boolean;
    takes: boolean; // parameters of its own
}

/** Every row of the route table, as the running conductor tells it. */
export async function routes(c: Conductor): Promise<Route[]> {
    const api = (await c.http('GET', '/openapi.json')).json;
    const out: Route[] = [];
    for (const [path, item] of Object.entries<Json>(api.paths))
        for (const [method, op] of Object.entries<Json>(item))
            out.push({
                path, name: op.operationId, method: method.toUpperCase() as 'GET' | 'POST', rule: op['x-rule'], limit: op['x-limit'],
                user: path.startsWith('/api/user/'), example: op['x-example'], files: !!op.requestBody?.content['multipart/form-data'],
                takes: Object.keys(op.requestBody?.content['application/json']?.schema.properties ?? {}).length > 0,
            });
    return out;
}

export type Headers = Record<string, string>;

export class Session {
    constructor(public id: string, public csrf: string) {}
    get cookie(): Headers {
        return { Cookie: `session_id=${this.id}` };
    }
    get headers(): Headers {
        return { ...this.cookie, 'X-CSRF-Token': this.csrf };
    }
}

export async function login(c: Conductor, username: string, password: string) {
    const r = await c.http('POST', '/api/user/login/v1', {
        headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username, password }),
    });
    if (r.json?.code !== 0) throw new Error(`login: ${r.text}`);
    const id = /session_id=(\w{40,})/.exec(String(r.headers['set-cookie']));
    if (!id || !r.json.csrf_token) throw new Error(`login without a session: ${r.text}`);
    return new Session(id[1], r.json.csrf_token);
}

export async function makeKey(c: Conductor, more: Json = {}): Promise<{ plain: string; id: string }> {
    const made = await c.api('create_api_key', { title: 'A key', active: 1, privileges: {}, ...more });
    return { plain: made.plain_key, id: made.api_key.id };
}

export async function ask(c: Conductor, r: Route, headers: Headers, body: Json = {}) {
    return c.http('POST', r.path, { headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) });
}
