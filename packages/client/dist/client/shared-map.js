/** Most differences between a map and its base; with more the map becomes a new base. */
const MAX_DIFFERENCES = 32;
/** A map whose snapshots never change and cost little: each of them shares the base, and has only the differences of its own. */
export class SharedMap {
    #base;
    /** In place of the base's. */
    #changed;
    #removed;
    /** After all others. */
    #added;
    #snapshot;
    constructor(from) {
        this.#base = from ? from.#base : new Map();
        this.#changed = new Map(from ? from.#changed : []);
        this.#removed = new Set(from ? from.#removed : []);
        this.#added = new Map(from ? from.#added : []);
    }
    /** This map as it is now; the same one until something changes. */
    snapshot() {
        this.#snapshot ??= new SharedMap(this);
        return this.#snapshot;
    }
    set(key, value) {
        const isInBase = this.#base.has(key) && !this.#removed.has(key);
        const differences = isInBase ? this.#changed : this.#added;
        differences.set(key, value);
        this.#different();
    }
    delete(key) {
        if (!this.has(key))
            return;
        this.#added.delete(key);
        this.#changed.delete(key);
        if (this.#base.has(key))
            this.#removed.add(key);
        this.#different();
    }
    get size() {
        return this.#base.size - this.#removed.size + this.#added.size;
    }
    get(key) {
        return this.#added.get(key) ?? this.#changed.get(key) ?? (this.#removed.has(key) ? undefined : this.#base.get(key));
    }
    has(key) {
        return this.#added.has(key) || (this.#base.has(key) && !this.#removed.has(key));
    }
    *entries() {
        for (const [key, value] of this.#base)
            if (!this.#removed.has(key))
                yield [key, this.#changed.get(key) ?? value];
        yield* this.#added;
    }
    *keys() {
        for (const [key] of this.entries())
            yield key;
    }
    *values() {
        for (const [, value] of this.entries())
            yield value;
    }
    [Symbol.iterator]() {
        return this.entries();
    }
    forEach(act) {
        for (const [key, value] of this.entries())
            act(value, key, this);
    }
    #different() {
        this.#snapshot = undefined;
        if (this.#changed.size + this.#removed.size + this.#added.size <= MAX_DIFFERENCES)
            return;
        this.#base = new Map(this.entries());
        for (const differences of [this.#changed, this.#removed, this.#added])
            differences.clear();
    }
}
