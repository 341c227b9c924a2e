# The pages that the daemon serves, included by the Makefile: src/proxy/page.S embeds them.
$(BUILD)/obj/src/proxy/page.data.o: src/proxy/page.S src/proxy/page.html src/proxy/login.html
	@mkdir -p $(@D)
	$(CC) -c -Wa,-Isrc/proxy -o $@ $<
$(BUILD)/libproxy.a: $(BUILD)/obj/src/proxy/page.data.o
