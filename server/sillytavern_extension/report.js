/** Tells our server what the chat shows as soon as it changes; when that fails, the next request does it. */

const CALM_MS = 200;
const PATIENCE_MS = 5_000;
/** A request waits no longer than this for an event before it. */
const YIELD_MS = 2_000;
/** A server that took no event is left alone so long. */
const RETRY_MS = 30_000;

/** Address and chat of a Custom Endpoint: "http://host:8001/v1", or ".../c/CHAT/v1", which names the chat. */
export function endpoint(url) {
    const bare = String(url ?? '').trim().replace(/\/+$/, '');
    const parts = /^(https?:\/\/[^/]+.*?)(?:\/c\/(.+))?\/v1$/.exec(bare);
    return parts ? { base: parts[1], chatId: parts[2] ? decodeURIComponent(parts[2]) : '' } : null;
}

export class Reporter {
    #timer = null;
    #sending = Promise.resolve();
    #type = null;
    #told = '';
    #requests = 0;
    #whole = [];
    #silentUntil = new Map();

    /**
     * @param look async () => null where there is nothing to tell, 'later' while the chat is being written,
     *     else { base, chatId, messages, character, user_name, is_group, chat_file }
     * @param status (text) => void, what the user may see
     */
    constructor(look, status = () => { }) {
        this.look = look;
        this.status = status;
    }

    /** Something happened; several things at once are told once, under the first one's name. */
    notice(type) {
        this.#type ??= type;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.flush(), CALM_MS);
    }

    /**
     * Something happened to whole chats: told in order, and before what they show. What a server that cannot be
     * reached was not told stays for later.
     * @param base the server's address
     * @param find async () => events, each with its `chatId`
     */
    whole(base, find) {
        this.#whole.push({ base, find });
        this.flush();
    }

    /** Before a request, which changes what is remembered: what is waiting is told first. */
    async yield() {
        await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, YIELD_MS))]);
        this.#requests += 1;
        this.#told = '';
    }

    /** Tell it now, one event at a time; ends when everything that happened before is told. */
    flush() {
        clearTimeout(this.#timer);
        this.#sending = this.#sending.then(() => this.#next());
        return this.#sending;
    }

    async #next() {
        await this.#tellWhole();
        const type = this.#type;
        this.#type = null;
        if (type !== null) {
            await this.#tell(type).catch((error) => this.#failed('', error));
        }
    }

    async #tellWhole() {
        for (; this.#whole.length; this.#whole.shift()) {
            const { base, find } = this.#whole[0];
            try {
                for (const { chatId, ...event } of await find()) {
                    await this.#send(base, chatId, event);
                }
            } catch (error) {
                this.#failed(base, error);
                if (error instanceof TypeError || error?.name === 'TimeoutError') {
                    return;
                }
            }
        }
    }

    async #tell(type) {
        const seen = await this.look();
        if (seen === 'later') {
            this.notice(type);
            return;
        }
        if (!seen) {
            return;
        }
        const before = this.#requests;
        const { base, chatId, ...chat } = seen;
        const told = JSON.stringify([base, chatId, chat]);
        if (told === this.#told || Date.now() < (this.#silentUntil.get(base) ?? 0)) {
            return;
        }
        try {
            const taken = await this.#send(base, chatId, { type, ...chat });
            this.#told = before === this.#requests ? told : '';
            this.status(taken.id ? `${taken.messages} messages remembered` : 'Connected; this chat is new');
        } catch (error) {
            this.#failed(base, error);
        }
    }

    /** A chat is told to nobody who does not answer like our server. */
    async #send(base, chatId, event) {
        const address = `${base}/v1/sessions/${encodeURIComponent(chatId)}/events`;
        await this.#expect(address, 'session.events', {});
        return this.#expect(address, 'session.event', {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(event),
        });
    }

    async #expect(address, object, request) {
        const answer = await fetch(address, { ...request, signal: AbortSignal.timeout(PATIENCE_MS) });
        const body = await answer.json();
        if (!answer.ok || body?.object !== object) {
            throw new Error(`${address} answered ${answer.status}`);
        }
        return body;
    }

    #failed(base, error) {
        this.#told = '';
        this.#silentUntil.set(base, Date.now() + RETRY_MS);
        this.status('Not reached from this page; each request still tells everything');
        console.info('[Emotional RAG] the change is told with the next request:', error?.message ?? error);
    }
}
