// The second baseline: a bare Node server that answers every request with the same bytes. Prints its port.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';

const body = readFileSync(process.argv[2]);
const server = createServer((req, res) => {
    const answer = () => res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
    if (req.method === 'GET') return void answer();
    let text = '';
    req.on('data', (p) => (text += p));
    req.on('end', () => {
        JSON.parse(text);
        answer();
    });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
